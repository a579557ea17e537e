/** dcmmkdir: the DICOMDIR of a file-set (PS3.3 F, PS3.10 8.6). */
import type { ToolContext } from './peer.ts'

export interface DicomdirRequest {
  /** Root of the disc; DICOMDIR is written there. */
  root: string
  /** Folder or files below the root. */
  inputs: readonly string[]
  fileSetId: string
  /** dcmmkdir's option for the application profile, such as `-Pgp`. */
  profile: string
  signal?: AbortSignal | undefined
}

const TIMEOUT_MS = 600_000

/**
 * Writes the DICOMDIR. It exits 0 although it leaves files out (measured): compare what it references with the disc.
 *
 * `+I` invents type 1 attributes of the directory that an object lacks, `-Nxc -Nec -Nrc +Nrs` do not reject what a strict profile would:
 * 70 of 74 odd objects instead of a few (measured).
 * @returns the messages, one a line
 */
export async function dcmmkdir (context: ToolContext, { root, inputs, fileSetId, profile, signal }: DicomdirRequest): Promise<string[]> {
  const args = [profile, '+I', '-Nxc', '-Nec', '-Nrc', '+Nrs', '-W', '+F', fileSetId, '+r', '+id', root, '+D', `${root}/DICOMDIR`, '-nb', ...inputs]
  const result = await context.programs.run(context.dcmtk.dcmmkdir, args, { signal, timeoutMs: TIMEOUT_MS })
  const messages = `${result.stderr}\n${result.stdout}`.split('\n').filter(line => /^[EFW]: /.test(line))
  context.log.debug({ exit_code: result.exitCode, duration_ms: result.durationMs, messages: messages.length }, 'dcmmkdir ended')
  return messages
}
