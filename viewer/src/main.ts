/** The viewer: series on one side, one or two pictures on the other. */
import type { PageData } from '../../src/disc/viewer/page-data.ts'
import type { Window } from '../../src/disc/viewer/window.ts'
import { mayShow, stacksOf, type Stack } from './data.ts'
import { takeFiles } from './decode.ts'
import { documentReader, isPdf } from './documents.ts'
import { button, element, svg } from './dom.ts'
import { nearest } from './geometry.ts'
import { forgetPictures, pictureOf } from './pictures.ts'
import { showThumbnail, type Place } from './thumbnails.ts'
import { Viewport, type Say, type Tool } from './viewport.ts'

/** In HU; as radiologists set them. */
const CT_PRESETS: ReadonlyArray<{ word: string, centre: number, width: number }> = [
  { word: 'preset_soft', centre: 40, width: 400 }, { word: 'preset_lung', centre: -600, width: 1_500 }, { word: 'preset_bone', centre: 400, width: 1_800 },
  { word: 'preset_brain', centre: 40, width: 80 }, { word: 'preset_mediastinum', centre: 50, width: 350 }, { word: 'preset_liver', centre: 60, width: 160 }
]
const TOOLS: ReadonlyArray<{ tool: Tool, key: string, sign: string }> = [
  { tool: 'window', key: 'w', sign: '◐' }, { tool: 'pan', key: 'p', sign: '✥' }, { tool: 'zoom', key: 'z', sign: '⌕' }, { tool: 'measure', key: 'm', sign: '↔' }
]
const THUMBNAIL_PIXELS = 96
/** The height of a tile (src/disc/pages/layout.eta) without its padding. */
const PAGE_THUMBNAIL_PIXELS = 168

const place = document.getElementById('viewer')
const text = document.getElementById('viewer-data')?.textContent ?? ''
// the service has written it
if (place !== null && text !== '') start(place, JSON.parse(text) as PageData)

function start (place: HTMLElement, data: PageData): void {
  const say: Say = (key, values = {}) => (data.words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name: string) => name in values ? String(values[name]) : whole)
  const stacks = stacksOf(data)
  const pictures = stacks.filter(({ items }) => items.some(mayShow))
  const first = pictures[0]
  if (first === undefined && stacks.every(({ reports }) => reports.length === 0)) return
  const coarse = matchMedia('(pointer: coarse)').matches
  let tool: Tool = coarse ? 'scroll' : 'window'
  let together = true
  const host = {
    say,
    locale: data.locale,
    tool: () => tool,
    onShown: (viewport: Viewport) => {
      if (viewport === active) refresh()
      follow(viewport)
    },
    onActive: (viewport: Viewport) => {
      active = viewport
      refresh()
    }
  }
  const viewports: Viewport[] = [new Viewport(host), new Viewport(host)]
  let active = viewports[0] as Viewport
  let two = false
  /** The one that moves the other: its movement does not come back. */
  let leading: Viewport | undefined

  function follow (viewport: Viewport): void {
    const other = viewports.find(one => one !== viewport)
    const item = viewport.item
    if (!two || !together || other === undefined || item === undefined || leading !== undefined || viewport !== active) return
    const index = nearest(other.stack.items, item)
    if (index === undefined || index === other.index) return
    leading = viewport
    other.show(index)
    leading = undefined
  }

  // --- the tools
  const toolButtons = TOOLS.map(({ tool: one, key, sign }) => ({ one, made: button(sign, `${say(`tool_${one}`)} (${key})`, () => { choose(one) }, one === tool) }))
  function choose (one: Tool): void {
    tool = coarse && tool === one ? 'scroll' : one
    for (const { one: each, made } of toolButtons) made.setAttribute('aria-pressed', String(each === tool))
    active.draw()
  }
  const presets = element('select', { 'aria-label': say('preset'), title: say('preset') })
  presets.addEventListener('change', () => {
    const chosen = presetsOf(active)[presets.selectedIndex - 1]
    if (chosen !== undefined) chosen.use()
    presets.selectedIndex = 0
  })
  const invert = button('◑', `${say('invert')} (i)`, () => { active.invert() })
  const rotate = button('↻', `${say('rotate')} (r)`, () => { active.rotate() })
  const reset = button('⟲', `${say('reset')} (0)`, () => { active.reset() })
  const play = button('▶', `${say('play')} (␣)`, () => { togglePlay() })
  const twoButton = button('◫', `${say('two')} (s)`, () => { setTwo(!two) }, false)
  const togetherButton = button('⇅', `${say('together')} (t)`, () => {
    together = !together
    togetherButton.setAttribute('aria-pressed', String(together))
    follow(active)
  }, true)
  const picker = element('input', { type: 'file', multiple: true, webkitdirectory: true, hidden: true })
  picker.addEventListener('change', () => { take([...picker.files ?? []]) })
  const pick = button(say('pick'), say('pick'), () => { picker.click() })
  pick.hidden = !stacks.some(({ items }) => items.some(({ image }) => image.pixels.by === 'picking'))
  const picked = element('span', { role: 'status' })

  function togglePlay (): void {
    if (active.playing) active.stop()
    else active.play()
    refresh()
  }

  function setTwo (on: boolean): void {
    two = on
    twoButton.setAttribute('aria-pressed', String(two))
    togetherButton.hidden = !two
    const second = viewports[1]
    if (second === undefined) return
    second.element.hidden = !two
    panes.classList.toggle('mv-two', two)
    if (two && second.stack.id < 0) {
      const open = viewports[0]?.stack
      const others = pictures.filter(stack => stack !== open)
      const next = others.find(({ study }) => study === open?.study) ?? others[0] ?? first
      if (next !== undefined) second.open(next)
    }
    if (!two) active = viewports[0] as Viewport
    for (const viewport of viewports) viewport.draw()
    follow(active)
    refresh()
  }

  function presetsOf (viewport: Viewport): Array<{ label: string, use: () => void }> {
    const item = viewport.item
    if (item === undefined || !viewport.isGrey) return []
    const use = (window: Window): (() => void) => () => { viewport.setWindow(window) }
    const { windows, curve } = item.view
    const own = windows.map((window, index) => ({
      label: window.name ?? `${say('preset_image')}${windows.length > 1 ? ` ${index + 1}` : ''}`,
      use: index === 0 ? () => { viewport.setWindow(undefined) } : use(window)
    }))
    const lut = curve === undefined ? [] : [{ label: say('preset_lut'), use: () => { viewport.setCurve(curve) } }]
    const ct = viewport.stack.modality !== 'CT' ? [] : CT_PRESETS.map(({ word, centre, width }) => ({ label: say(word), use: use({ centre, width, shape: 'LINEAR' }) }))
    return [...own, ...lut, ...ct]
  }

  function refresh (): void {
    for (const viewport of viewports) viewport.element.classList.toggle('mv-active', two && viewport === active)
    const options = presetsOf(active).map(({ label }, index) => element('option', {}, `${index + 1}  ${label}`))
    presets.replaceChildren(element('option', {}, say('preset')), ...options)
    presets.selectedIndex = 0
    presets.disabled = options.length === 0
    play.textContent = active.playing ? '❚❚' : '▶'
    play.disabled = active.stack.items.length < 2
    for (const [stack, tile] of tiles) tile.setAttribute('aria-current', String(stack === active.stack))
  }

  // --- the series
  const tiles = new Map<Stack, HTMLElement>()
  const places = new Map<Stack, Place[]>()
  const list = element('nav', { class: 'mv-list', 'aria-label': say('series_list') })
  const reports = stacks.filter(({ reports }) => reports.length > 0)
  for (const stack of reports) for (const report of stack.reports) list.append(reportTile(stack, report))
  for (const stack of stacks.filter(({ items, reports }) => items.length > 0 && reports.length === 0)) {
    const picture = element('span', { class: 'mv-thumb' }, stack.modality)
    const tile = element('button', { type: 'button', class: 'mv-tile' }, picture,
      element('span', { class: 'mv-label' },
        element('strong', {}, nameOf(stack)), ` ${stack.study.date} · ${say('images', { count: stack.items.length })}`))
    tile.addEventListener('click', () => { active.open(stack) })
    tiles.set(stack, tile)
    places.set(stack, [{ element: picture, pixels: THUMBNAIL_PIXELS, explain: sentence => { tile.title = sentence } }, ...onPage(stack)])
    list.append(tile)
  }

  function nameOf ({ description, modality, number }: Stack): string {
    return description || `${modality} ${number}`
  }

  /** The tile of a series on the page below the viewer. */
  function onPage (stack: Stack): Place[] {
    const tile = document.querySelector(`[data-series="${stack.id}"]`)
    if (!(tile instanceof HTMLElement)) return []
    const made = element('button', { type: 'button', class: tile.className }, ...tile.childNodes)
    made.addEventListener('click', () => {
      active.open(stack)
      place.scrollIntoView()
    })
    tile.replaceWith(made)
    return [{ element: made, pixels: PAGE_THUMBNAIL_PIXELS, label: nameOf(stack), explain: sentence => { made.replaceChildren(sentence) } }]
  }

  function reportTile (stack: Stack, path: string): HTMLElement {
    const tile = element('button', { type: 'button', class: 'mv-tile mv-report' },
      element('span', { class: 'mv-thumb' }, isPdf(path) ? 'PDF' : '▤'),
      element('span', { class: 'mv-label' }, element('strong', {}, stack.description || say('reports')), ` ${stack.study.date}`))
    tile.addEventListener('click', () => { documents.open(path, stack.description) })
    return tile
  }

  const documents = documentReader(say)
  const thumbnailFilters = svg('svg', { width: 0, height: 0, 'aria-hidden': 'true', class: 'mv-filters' })

  // --- files that the person gives
  function take (files: Array<File & { path?: string }>): void {
    const count = takeFiles(files, stacks.flatMap(({ items }) => items))
    picked.textContent = say('picked', { count })
    forgetPictures()
    for (const viewport of viewports) if (viewport.stack.id >= 0) viewport.show(viewport.index)
    void thumbnails()
  }
  place.addEventListener('dragover', event => { event.preventDefault() })
  place.addEventListener('drop', event => {
    event.preventDefault()
    const entries = [...event.dataTransfer?.items ?? []].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null)
    void filesOf(entries).then(take)
  })

  // --- the keyboard
  place.addEventListener('keydown', event => {
    if (event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey || documents.element.open) return
    const onStage = event.target instanceof HTMLElement && event.target.classList.contains('mv-stage')
    if (event.shiftKey && onStage && arrows(event.key)) event.preventDefault()
    else if (keys(event.key, onStage)) event.preventDefault()
  })
  function arrows (key: string): boolean {
    const [x, y] = key === 'ArrowLeft' ? [-1, 0] : key === 'ArrowRight' ? [1, 0] : key === 'ArrowUp' ? [0, -1] : key === 'ArrowDown' ? [0, 1] : [0, 0]
    if (x === 0 && y === 0) return false
    if (tool === 'pan') active.panBy(20 * x, 20 * y)
    else if (tool === 'zoom') active.zoomBy(Math.exp(-0.1 * y + 0.1 * x))
    else if (tool === 'measure') active.moveCursor(4 * x, 4 * y)
    else active.windowBy(x * 0.05, -y * 0.05)
    return true
  }
  function keys (key: string, onStage: boolean): boolean {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }
    const step = steps[key]
    if (step !== undefined) {
      if (onStage) active.step(step)
      return onStage
    }
    if (key === ' ' || key === 'Enter') {
      if (!onStage) return false
      if (key === 'Enter' || tool === 'measure') active.mark()
      else togglePlay()
      return true
    }
    const wanted = TOOLS.find(one => one.key === key)
    if (wanted !== undefined) choose(wanted.tool)
    else if (key === 'i') active.invert()
    else if (key === 'r') active.rotate()
    else if (key === '0') active.reset()
    else if (key === '+') active.zoomBy(1.25)
    else if (key === '-') active.zoomBy(0.8)
    else if (key === 't') togetherButton.click()
    else if (key === 's') setTwo(!two)
    else if (key === '[' || key === ']') {
      const at = pictures.indexOf(active.stack) + (key === ']' ? 1 : -1)
      const next = pictures[at]
      if (next !== undefined) active.open(next)
    } else if (/^[1-9]$/.test(key)) presetsOf(active)[Number(key) - 1]?.use()
    else return false
    return true
  }

  const help = element('details', { class: 'mv-help' }, element('summary', {}, say('keys')), element('p', {}, say('keys_text')))
  const panes = element('div', { class: 'mv-panes' }, ...viewports.map(({ element }) => element))
  place.replaceChildren(
    element('div', { class: 'mv-tools', role: 'toolbar', 'aria-label': say('title') },
      ...toolButtons.map(({ made }) => made), presets, invert, rotate, reset, play, twoButton, togetherButton, pick, picker, picked,
      element('strong', { class: 'mv-notice' }, say('not_for_diagnosis'))),
    element('div', { class: 'mv-main' }, list, panes), help, documents.element, thumbnailFilters)
  place.classList.add('mv')
  place.hidden = false
  setTwo(false)
  if (first !== undefined) viewports[0]?.open(first)
  // the first picture before all thumbnails
  async function thumbnails (): Promise<void> {
    thumbnailFilters.replaceChildren()
    for (const [stack, shown] of places) await showThumbnail(stack, shown, thumbnailFilters, say)
  }
  const item = viewports[0]?.item
  void (item === undefined ? Promise.resolve() : pictureOf(item).catch(() => undefined)).then(async () => { await thumbnails() })
}

async function filesOf (entries: readonly FileSystemEntry[]): Promise<Array<File & { path?: string }>> {
  const files: Array<File & { path?: string }> = []
  for (const entry of entries) {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject) })
      files.push(Object.assign(file, { path: entry.fullPath.replace(/^\//, '') }))
    } else if (entry.isDirectory) {
      const reader = (entry as FileSystemDirectoryEntry).createReader()
      for (;;) {
        const some = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject) })
        if (some.length === 0) break
        for (const file of await filesOf(some)) files.push(file)
      }
    }
  }
  return files
}
