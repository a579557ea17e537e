/** Somebody at a page, in Chromium or in Firefox, whose own WebDriver lacks waiting: what both can show is asked in one way. */
import axe from 'axe-core'
import type { Test } from 'tap'
import type { Programs } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { startEngine, type Engine, type EngineName, type EngineOptions } from '../disc/viewer/engines.ts'

export const BROWSERS = ['chromium', 'firefox'] as const satisfies readonly EngineName[]

export interface Visitor {
  engine: Engine
  evaluate<T> (expression: string): Promise<T>
  open (url: string): Promise<void>
  /** Waits until an expression is true. */
  seen (t: Test, expression: string, what: string): Promise<void>
  /** Waits for a heading that can be seen. */
  heading (t: Test, words: string): Promise<void>
  text (selector: string): Promise<string>
  click (selector: string): Promise<void>
  fill (selector: string, value: string): Promise<void>
  /** Said to a screen reader, and where the focus is. */
  isNews (t: Test, words: string): Promise<void>
  /** axe finds nothing serious; in light and, where the browser can be told so, nothing wider than the window. */
  clean (t: Test, what: string): Promise<void>
}

/** It goes with the test. */
export async function visitor (t: Test, name: EngineName, programs: Programs, options: EngineOptions = {}): Promise<Visitor> {
  const engine = await startEngine(name, programs, options)
  t.teardown(async () => { await engine.close() })
  const evaluate = async <T> (expression: string): Promise<T> => await engine.evaluate<T>(expression)
  const of = (selector: string): string => `document.querySelector(${JSON.stringify(selector)})`
  const seen = async (t: Test, expression: string, what: string): Promise<void> => {
    const met = await eventually(async () => await evaluate<boolean>(`Boolean(${expression})`).catch(() => false), 50)
    t.ok(met, met ? what : `${what}; the page says: ${await evaluate<string>('document.body.innerText').catch(String)}`)
  }
  return {
    engine,
    evaluate,
    open: async url => { await engine.open(url) },
    seen,
    heading: async (t, words) => { await seen(t, `[...document.querySelectorAll('h1, h2, h3')].some(one => one.textContent === ${JSON.stringify(words)} && one.checkVisibility())`, words) },
    text: async selector => await evaluate<string>(`${of(selector)}.innerText`),
    click: async selector => { await evaluate(`(() => { ${of(selector)}.click() })()`) },
    fill: async (selector, value) => { await evaluate(`(() => { ${of(selector)}.value = ${JSON.stringify(value)} })()`) },
    isNews: async (t, words) => {
      t.equal(await evaluate<string>('document.getElementById("news").textContent'), words, 'it is said')
      t.equal(await evaluate<string>('document.activeElement.textContent'), words, 'the focus is there')
    },
    clean: async (t, what) => {
      // not by a script element, which the pages' policy refuses
      await evaluate(`(() => { if (window.axe === undefined) { ${axe.source}; window.axe = axe } })()`)
      const found = await evaluate<string[]>(`axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations
        .filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id, nodes }) => id + ' ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(' ')))`)
      t.strictSame(found, [], `${what}: axe finds nothing serious`)
    }
  }
}
