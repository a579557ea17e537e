/* global document, Image */
// the list of pictures stands in the page: a page opened from a disc may not read the files beside it
for (const viewer of document.querySelectorAll('.viewer')) {
  const pictures = Array.from(viewer.parentElement.querySelectorAll('.strip a'), link => link.getAttribute('href'))
  const image = viewer.querySelector('img')
  const slider = viewer.querySelector('input')
  const output = viewer.querySelector('output')
  let at = 0
  const show = n => {
    at = Math.max(0, Math.min(pictures.length - 1, n))
    image.src = pictures[at]
    slider.value = at + 1
    output.textContent = (at + 1) + ' / ' + pictures.length
    image.alt = image.dataset.alt.replace('{n}', at + 1)
    for (const near of [at + 1, at - 1, at + 2]) if (pictures[near]) new Image().src = pictures[near]
  }
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 }
  viewer.addEventListener('keydown', event => {
    if (event.key in steps) show(at + steps[event.key])
    else if (event.key === 'Home') show(0)
    else if (event.key === 'End') show(pictures.length - 1)
    else return
    event.preventDefault()
  })
  viewer.addEventListener('wheel', event => {
    // who only passes by with the wheel wants to go on
    if (!viewer.contains(document.activeElement)) return
    const next = at + Math.sign(event.deltaY)
    // at either end of the series the page itself scrolls on
    if (pictures[next] === undefined) return
    event.preventDefault()
    show(next)
  }, { passive: false })
  slider.addEventListener('input', () => show(slider.value - 1))
}
