/* Swagger UI gives its choices of examples and of servers no name; a screen reader would say "combo box" and no more. */
const NAMES = { 'select.examples-select-element': 'Example', '.servers select': 'Server' }
new MutationObserver(() => {
  for (const [selector, name] of Object.entries(NAMES)) {
    for (const select of document.querySelectorAll(`${selector}:not([aria-label])`)) select.setAttribute('aria-label', name)
  }
}).observe(document.documentElement, { childList: true, subtree: true })
