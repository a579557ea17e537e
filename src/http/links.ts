/** Links from one route to another: the same question under another path. */

/** The route that downloads a list of accession numbers, as it stands in a link. */
export function downloadPath (accessionNumbers: string): '/api/iso/download' | '/api/iso/download-multiple' {
  return accessionNumbers.includes(',') ? '/api/iso/download-multiple' : '/api/iso/download'
}

/** The address of a request as a link on our pages: two slashes at its begin would lead to another host. */
export function localUrl (url: string): string {
  return /^\/(?![/\\])/.test(url) ? url : '/'
}

/**
 * Another path with the query of this address.
 * @param changes parameters to set, or to leave out where undefined
 */
export function withQuery (path: string, url: string, changes: Readonly<Record<string, string | undefined>> = {}): string {
  const { searchParams } = new URL(localUrl(url), 'http://localhost')
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) searchParams.delete(name)
    else searchParams.set(name, value)
  }
  // as the HIS writes it: nginx chooses the machine by the text of the list, which must be the same in all links
  const query = searchParams.toString().replaceAll('%2C', ',')
  return query === '' ? path : `${path}?${query}`
}
