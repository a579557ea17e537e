/** XML as text: elements with attributes, of which those that are undefined are left out. */

export type Attributes = Record<string, string | number | boolean | undefined>

export function element (name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes).flatMap(([key, value]) => value === undefined ? [] : [` ${key}="${escaped(String(value))}"`]).join('')
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join('')}</${name}>`
}

/** Characters that XML 1.0 does not know (2.2), which a name from anywhere may hold, become U+FFFD. */
export function escaped (text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replace(/[&<>"\t\n\r]/g, character => `&#${character.charCodeAt(0)};`)
}
