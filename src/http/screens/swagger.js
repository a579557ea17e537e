/* Swagger UI gives its choice of examples no name; a screen reader would say "combo box" and no more. */
new MutationObserver(() => {
  for (const select of document.querySelectorAll('select.examples-select-element:not([aria-label])')) select.setAttribute('aria-label', 'Example')
}).observe(document.documentElement, { childList: true, subtree: true })
