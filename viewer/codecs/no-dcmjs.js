/** dcmjs-codecs asks for dcmjs for its transcoder only, which the viewer does not use. */
const nothing = new Proxy(class {}, { get: (target, key) => key === 'prototype' ? target.prototype : nothing })
export default { data: nothing, log: nothing }
export const data = nothing
export const log = nothing
