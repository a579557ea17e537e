/** What the buttons of the demo break, and mend again. */
import type { Site } from './site.ts'

export interface Fault {
  /** In addresses. */
  name: string
  title: string
  /** What the button does. */
  text: string
  /** What the service does about it. */
  expected: string
  button: string
  mend: string
  /** The accession number to try it with. */
  accessionNumber: string
  /** What to try. */
  tryIt: 'download' | 'print'
  isBroken: () => boolean
  breakIt: () => Promise<void>
  mendIt: () => Promise<void>
}

/** More than any disk has. */
const MORE_THAN_THERE_IS = '1000000G'

export function faultsOf (site: Site): Fault[] {
  const { pacs, robot, service, api, lostInstance, lostFolder, intruding } = site
  const broken = new Set<string>()
  const fault = (name: string, about: Omit<Fault, 'name' | 'isBroken'>): Fault => ({
    ...about,
    name,
    isBroken: () => broken.has(name),
    breakIt: async () => {
      if (broken.has(name)) return
      await about.breakIt()
      broken.add(name)
    },
    mendIt: async () => {
      if (!broken.has(name)) return
      await about.mendIt()
      broken.delete(name)
    }
  })
  return [
    fault('pacs', {
      title: 'The PACS is off',
      text: 'Ends the PACS.',
      expected: 'A sentence for the clerk, the cause for the administrator, PACS down on the status page. Nothing is made of what is kept either: whether it is still all of it, only the PACS knows.',
      button: 'Switch the PACS off',
      mend: 'Switch it on again',
      accessionNumber: 'MR.2024.001',
      tryIt: 'download',
      breakIt: async () => { await pacs.off() },
      mendIt: async () => { await pacs.on() }
    }),
    fault('lost', {
      title: 'An image is lost',
      text: `Takes one file of ${lostInstance.accessionNumber} away behind the PACS's back: it still lists the image, and cannot send it.`,
      expected: 'No disc: "9 of 10 images". A disc that was made less than two minutes ago is still kept, so break it first.',
      button: 'Lose an image',
      mend: 'Find it again',
      accessionNumber: lostInstance.accessionNumber,
      tryIt: 'download',
      breakIt: async () => { await pacs.lose(lostInstance.path, lostFolder) },
      mendIt: async () => { await pacs.find(lostInstance.path, lostFolder) }
    }),
    fault('patients', {
      title: 'Two patients under one number',
      text: 'Sends an image of Budi to the PACS under a number of Siti, as a wrong choice from a worklist does.',
      expected: 'No disc: the images belong to more than one patient.',
      button: 'Mix two patients up',
      mend: 'Correct it in the PACS',
      accessionNumber: 'TWO.2024.001',
      tryIt: 'download',
      breakIt: async () => { await pacs.take(intruding.map(({ path }) => path)) },
      mendIt: async () => { await pacs.remove(intruding.map(({ path }) => path)) }
    }),
    fault('disk', {
      title: 'The disk is full',
      text: 'Starts the service anew with more disk reserved (iso.disk_reserve) than there is; that takes a few seconds.',
      expected: 'Refused before anything is fetched, with what to tell the administrator.',
      button: 'Fill the disk',
      mend: 'Make room',
      accessionNumber: 'US.2024.001',
      tryIt: 'download',
      breakIt: async () => { await service.restart({ disk_reserve: MORE_THAN_THERE_IS }) },
      mendIt: async () => { await service.restart({}) }
    }),
    fault('robot', {
      title: 'The disc robot is off',
      text: 'Ends the CD publisher.',
      expected: 'The page says so, and tries again for ten minutes: switch it on while the page is open, and the print goes on.',
      button: 'Switch the robot off',
      mend: 'Switch it on again',
      accessionNumber: 'US.2024.001',
      tryIt: 'print',
      breakIt: async () => { await robot.off() },
      mendIt: async () => { await robot.on() }
    }),
    fault('his', {
      title: 'The HIS is in trouble',
      text: 'Its patient API answers 500 from now on.',
      expected: 'No print and no set of studies without the HIS (patient_api.required), with a sentence that says whose fault it is. A single download goes on: its name comes from the PACS.',
      button: 'Break the HIS',
      mend: 'Mend it',
      accessionNumber: 'CR.2024.001',
      tryIt: 'print',
      breakIt: async () => { api.mode = 'error' },
      mendIt: async () => { api.mode = 'ok' }
    })
  ]
}
