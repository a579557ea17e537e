/** The page around a document that was rendered: it stands by itself on a disc. */

/** Nothing runs and nothing is fetched, whatever is left in the document. */
export const DOCUMENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
const STYLE = 'body { font: 16px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif; max-width: 52rem; margin: 1rem auto; padding: 0 1rem; overflow-wrap: anywhere } ' +
  'table { border-collapse: collapse } td, th { text-align: left; vertical-align: top; padding: .1rem .8rem .1rem 0 }'

/** @param title and body are HTML, cleaned */
export function documentPage (title: string, body: string): string {
  return `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${DOCUMENT_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`
}
