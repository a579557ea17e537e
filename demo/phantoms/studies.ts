/** The studies that demo and tests use. */
import type { PhantomPatient, PhantomStudy } from './catalogue.ts'

const SITI: PhantomPatient = { patientId: 'MR.0001', patientName: 'RAHAYU^SITI', birthDate: '19850817', sex: 'F' }
const BUDI: PhantomPatient = { patientId: 'MR.0002', patientName: 'SANTOSO^BUDI', birthDate: '19700101', sex: 'M' }
const YAMADA: PhantomPatient = { patientId: 'MR.0003', patientName: 'Yamada^Tarou=山田^太郎=やまだ^たろう', birthDate: '19610409', sex: 'M', characterSet: 'ISO 2022 IR 87' }

/** Several modalities, two patients and a third with a name in three scripts, one study of 200 images, one number for two patients. */
export function demoStudies (): PhantomStudy[] {
  return [
    { accessionNumber: 'CT.2024.200', patient: SITI, studyDate: '20240305', studyDescription: 'CT Thorax', series: [{ kind: 'CT', count: 100, description: 'Thorax 5 mm' }, { kind: 'CT', count: 100, description: 'Thorax contrast' }] },
    { accessionNumber: 'MR.2024.001', patient: SITI, studyDate: '20240306', studyDescription: 'MRI Brain', series: [{ kind: 'MR', count: 12, description: 'T1 axial' }, { kind: 'MR', count: 12, description: 'T2 axial' }] },
    { accessionNumber: 'US.2024.001', patient: BUDI, studyDate: '20240307', studyDescription: 'US Abdomen', series: [{ kind: 'US-colour', count: 3, description: 'Liver' }] },
    { accessionNumber: 'CR.2024.001', patient: YAMADA, studyDate: '20240308', studyDescription: 'Chest PA', series: [{ kind: 'CR', count: 2, description: 'Chest' }] },
    { accessionNumber: 'DUP.2024.001', seed: 'siti', patient: SITI, studyDate: '20240309', studyDescription: 'Chest', series: [{ kind: 'CR', count: 1 }] },
    { accessionNumber: 'DUP.2024.001', seed: 'budi', patient: BUDI, studyDate: '20240309', studyDescription: 'Chest', series: [{ kind: 'CR', count: 1 }] },
    ...Array.from({ length: 10 }, (_, index): PhantomStudy => ({
      accessionNumber: `CR.2024.01${index}`, patient: BUDI, studyDate: `202404${10 + index}`, studyDescription: 'Chest', series: [{ kind: 'CR', count: 3, description: 'Chest' }]
    }))
  ]
}

/** One that only the old archive of the demo has. */
export function oldStudy (): PhantomStudy {
  return { accessionNumber: 'OLD.2019.001', patient: SITI, studyDate: '20190305', studyDescription: 'CT Thorax, before the new PACS', series: [{ kind: 'CT', count: 20, description: 'Thorax 5 mm' }] }
}

/** One that only the archive of the demo has that speaks DICOMweb. */
export function cloudStudy (): PhantomStudy {
  return { accessionNumber: 'WEB.2024.001', patient: BUDI, studyDate: '20240601', studyDescription: 'MRI Knee, at another site', series: [{ kind: 'MR', count: 12, description: 'PD sagittal' }] }
}

/** What makes DICOMDIRs and viewers stumble. */
export function oddStudies (): PhantomStudy[] {
  const patient = (n: number, patientName: string, characterSet: PhantomPatient['characterSet'] = 'ISO_IR 192'): PhantomPatient =>
    ({ patientId: `ODD.${n}`, patientName, birthDate: '19500101', sex: 'O', characterSet })
  const one = (accessionNumber: string, patient: PhantomPatient): PhantomStudy =>
    ({ accessionNumber, patient, studyDate: '20240401', studyDescription: 'Odd', series: [{ kind: 'CR', count: 1 }] })
  return [
    {
      accessionNumber: 'ODD.2024.001', patient: patient(1, 'ODD^OBJECTS'), studyDate: '20240401', studyDescription: 'Every kind',
      series: [
        { kind: 'XA-multiframe-jpeg', count: 1 }, { kind: 'CT-jpeg', count: 2 }, { kind: 'CT-jpeg2000', count: 2 }, { kind: 'CT-rle', count: 2 }, { kind: 'US-colour', count: 2 },
        { kind: 'SR', count: 1 }, { kind: 'ECG', count: 1 }, { kind: 'RTPLAN', count: 1 }, { kind: 'RTSTRUCT', count: 1 }, { kind: 'RTDOSE', count: 1 }, { kind: 'PDF', count: 1 },
        { kind: 'PR', count: 1 }, { kind: 'CT', count: 1, omit: ['Modality'], rows: 64, columns: 64 }
      ]
    },
    one('ODD.2024.002', { patientId: '', patientName: 'UNKNOWN^PATIENT', birthDate: '', sex: '' }),
    one('ODD.2024.011', patient(11, 'Wang^XiaoDong=王^小东')),
    one('ODD.2024.012', patient(12, 'Yamada^Tarou=山田^太郎=やまだ^たろう', 'ISO 2022 IR 87')),
    one('ODD.2024.013', patient(13, 'Иванов^Пётр', 'ISO_IR 144')),
    one('ODD.2024.014', patient(14, 'Hong^Gildong=洪^吉洞=홍^길동', 'ISO 2022 IR 149')),
    one('ODD.2024.015', patient(15, 'Buc^Jérôme', 'ISO_IR 100')),
    one('ODD.2024.016', patient(16, 'قباني^لنزار')),
    one('ODD.2024.017', patient(17, 'शर्मा^रवि'))
  ]
}

/** A CT in two series of square images; for the benchmark. */
export function ctStudy (accessionNumber: string, images: number, patient: PhantomPatient = BUDI, rows = 512): PhantomStudy {
  const first = Math.ceil(images / 2)
  return {
    accessionNumber, patient, studyDate: '20240501', studyDescription: 'CT benchmark',
    series: [{ kind: 'CT', count: first, rows, columns: rows }, { kind: 'CT', count: images - first, rows, columns: rows }]
  }
}
