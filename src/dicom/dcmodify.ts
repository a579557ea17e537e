import type { ToolContext } from './peer.ts'

/** dcmodify: sets attributes in a file. The file must not be shared by a hard link. */
export async function dcmodify (context: ToolContext, path: string, attributes: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
  const settings = Object.entries(attributes).flatMap(([tag, value]) => ['-i', `(${tag})=${value}`])
  const result = await context.programs.run(context.dcmtk.dcmodify, ['-nb', ...settings, path], { signal, timeoutMs: 60_000 })
  if (result.exitCode !== 0) context.log.warn({ exit_code: result.exitCode, stderr: result.stderr.slice(-300) }, 'dcmodify failed')
}
