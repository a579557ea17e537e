/** Elements, a line each. Text is always text: nothing here reads markup. */
type Attributes = Record<string, string | number | boolean | undefined>

export function element<K extends keyof HTMLElementTagNameMap> (name: K, attributes: Attributes = {}, ...children: Array<Node | string>): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== false) made.setAttribute(key, value === true ? '' : String(value))
  made.append(...children)
  return made
}

const SVG = 'http://www.w3.org/2000/svg'

export function svg (name: string, attributes: Attributes = {}, ...children: Array<Node | string>): SVGElement {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== false) made.setAttribute(key, String(value))
  made.append(...children)
  return made
}

export function button (label: string, title: string, onClick: () => void, pressed?: boolean): HTMLButtonElement {
  const made = element('button', { type: 'button', title, 'aria-label': title, ...(pressed === undefined ? {} : { 'aria-pressed': String(pressed) }) }, label)
  made.addEventListener('click', onClick)
  return made
}
