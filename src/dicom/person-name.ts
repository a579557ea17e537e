/**
 * A DICOM person name for people (PS3.5 6.2.1): the alphabetic group, then the ideographic one; components as words, prefix first.
 * `Yamada^Tarou=山田^太郎=やまだ^たろう` is `Yamada Tarou (山田 太郎)`.
 */
export function personName (value: string): string {
  const groups = value.split('=').slice(0, 2).map(group => {
    const [family = '', given = '', middle = '', prefix = '', suffix = ''] = group.split('^').map(part => part.trim())
    return [prefix, family, given, middle, suffix].filter(part => part !== '').join(' ')
  }).filter(group => group !== '')
  const [first = '', second] = groups
  return second === undefined ? first : `${first} (${second})`
}
