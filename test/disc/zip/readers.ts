/** Programs that read ZIP files and have nothing to do with us or with each other. */
import type { Programs } from '../../../src/process.ts'

export interface Reader {
  name: string
  /** @returns what it finds wrong, empty for nothing */
  test (archive: string): Promise<string>
  /** @returns what went wrong, empty for nothing */
  extract (archive: string, folder: string): Promise<string>
  /** Files in it. */
  count (archive: string): Promise<number>
  /** The text of one. */
  read (archive: string, name: string): Promise<string>
}

const PYTHON = `
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[2])
if sys.argv[1] == 'test':
    bad = archive.testzip()
    if bad is not None: sys.exit(bad)
elif sys.argv[1] == 'extract': archive.extractall(sys.argv[3])
elif sys.argv[1] == 'count': print(len(archive.namelist()))
else: print(archive.read(sys.argv[3]).decode(), end='')
`

/**
 * Those that can read such an archive: Info-ZIP and Python know no AES; libarchive (bsdtar) is tried without.
 */
export function readersOf (programs: Programs, password?: string): Reader[] {
  const run = async (program: string, args: readonly string[]): Promise<{ stdout: string, fault: string }> => {
    const result = await programs.run(program, [...args], { timeoutMs: 280_000 })
    return { stdout: result.stdout, fault: result.exitCode === 0 ? '' : `${String(result.exitCode)} ${result.stdout.slice(-2_000)} ${result.stderr.slice(-2_000)}` }
  }
  const p = password === undefined ? [] : [`-p${password}`]
  const sevenZip: Reader = {
    name: '7z',
    test: async archive => (await run('7z', ['t', ...p, archive])).fault,
    extract: async (archive, folder) => (await run('7z', ['x', ...p, `-o${folder}`, archive])).fault,
    count: async archive => Number(/(\d+) files/.exec((await run('7z', ['l', ...p, archive])).stdout.slice(-200))?.[1]),
    read: async (archive, name) => (await run('7z', ['e', '-so', ...p, archive, name])).stdout
  }
  if (password !== undefined) return [sevenZip]
  return [
    sevenZip,
    {
      name: 'unzip',
      test: async archive => (await run('unzip', ['-tq', archive])).fault,
      extract: async (archive, folder) => (await run('unzip', ['-q', archive, '-d', folder])).fault,
      count: async archive => Number(/(\d+) files/.exec((await run('unzip', ['-l', archive])).stdout.slice(-200))?.[1]),
      read: async (archive, name) => (await run('unzip', ['-p', archive, name])).stdout
    },
    {
      name: 'Python',
      test: async archive => (await run('python3', ['-c', PYTHON, 'test', archive])).fault,
      extract: async (archive, folder) => (await run('python3', ['-c', PYTHON, 'extract', archive, folder])).fault,
      count: async archive => Number((await run('python3', ['-c', PYTHON, 'count', archive])).stdout),
      read: async (archive, name) => (await run('python3', ['-c', PYTHON, 'read', archive, name])).stdout
    },
    {
      name: 'libarchive',
      test: async archive => (await run('bsdtar', ['-tf', archive])).fault,
      extract: async (archive, folder) => (await run('bsdtar', ['-xf', archive, '-C', folder])).fault,
      count: async archive => {
        let lines = 0
        await programs.run('bsdtar', ['-tf', archive], { onLine: () => { lines++ } })
        return lines
      },
      read: async (archive, name) => await sevenZip.read(archive, name)
    }
  ]
}
