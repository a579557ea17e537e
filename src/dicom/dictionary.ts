/**
 * Value representations (PS3.5 6.2), and the VR (PS3.6) of what a directory record may hold and of what stands in its sequences: an
 * implicit VR object does not say it. A tag that is not here is copied as UN, which every reader takes.
 */

// VRs with a 32 bit length after two reserved bytes (PS3.5 7.1.2)
const LONG_VRS: ReadonlySet<string> = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])
const SHORT_VRS: ReadonlySet<string> = new Set([
  'AE', 'AS', 'AT', 'CS', 'DA', 'DS', 'DT', 'FD', 'FL', 'IS', 'LO', 'LT', 'PN', 'SH', 'SL', 'SS', 'ST', 'TM', 'UI', 'UL', 'US'
])
/** Bytes of one number, which stand the other way round in big endian (PS3.5 7.3). */
const NUMBER_BYTES: ReadonlyMap<string, 2 | 4 | 8> = new Map([
  ...['US', 'SS', 'OW', 'AT'].map(vr => [vr, 2] as const),
  ...['UL', 'SL', 'FL', 'OF', 'OL'].map(vr => [vr, 4] as const),
  ...['FD', 'OD', 'OV', 'SV', 'UV'].map(vr => [vr, 8] as const)
])
const TEXT_VRS: ReadonlySet<string> = new Set([
  'AE', 'AS', 'CS', 'DA', 'DS', 'DT', 'IS', 'LO', 'LT', 'PN', 'SH', 'ST', 'TM', 'UC', 'UR', 'UT'
])

const BY_CODE: ReadonlyMap<number, string> = new Map(
  [...SHORT_VRS, ...LONG_VRS].map(vr => [vr.charCodeAt(0) * 0x100 + vr.charCodeAt(1), vr] as const)
)

/** The two bytes of a VR as text, the first one the higher byte of `code`. */
export function lettersOf (code: number): string {
  return BY_CODE.get(code) ?? String.fromCharCode(code >>> 8, code & 0xFF)
}

export function isVr (text: string): boolean {
  return SHORT_VRS.has(text) || LONG_VRS.has(text)
}

export function hasLongLength (vr: string): boolean {
  return LONG_VRS.has(vr)
}

/** 1 for what has no byte order. */
export function numberBytes (vr: string): 1 | 2 | 4 | 8 {
  return NUMBER_BYTES.get(vr) ?? 1
}

/** The byte that makes a value of odd length even (PS3.5 6.2). */
export function paddingOf (vr: string): 0 | 0x20 {
  return TEXT_VRS.has(vr) ? 0x20 : 0
}

const TAGS_BY_VR: Readonly<Record<string, readonly number[]>> = {
  AE: [
    0x00080054, 0x00080055
  ],
  AT: [
    0x00280009, 0x04000020
  ],
  CS: [
    0x00080005, 0x00080008, 0x00080060, 0x00080064, 0x00080105, 0x0008010B, 0x0008010F, 0x00089205, 0x00100022, 0x00100040,
    0x00180015, 0x00200020, 0x00200060, 0x00280004, 0x00281056, 0x00282110, 0x00400033, 0x0040A010, 0x0040A040, 0x0040A050,
    0x0040A130, 0x0040A491, 0x0040A493, 0x0040A496, 0x0040DB00, 0x00480301, 0x00700023, 0x00700080, 0x00700405, 0x04000015,
    0x04000110, 0x20500020, 0x3004000A
  ],
  DA: [
    0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x00100030, 0x0040A121, 0x00700082, 0x30060008, 0x30080250,
    0x300A0006
  ],
  DS: [
    0x00180050, 0x00181063, 0x00181065, 0x00181164, 0x00200032, 0x00200037, 0x00280030, 0x00281050, 0x00281051, 0x00281052,
    0x00281053, 0x0040A138, 0x0040A30A, 0x300A0128
  ],
  DT: [
    0x0008002A, 0x00080106, 0x00080107, 0x0040A030, 0x0040A032, 0x0040A120, 0x0040A13A, 0x04000105
  ],
  FD: [
    0x0040A161
  ],
  FL: [
    0x00700022, 0x00700403
  ],
  IS: [
    0x00081160, 0x00082144, 0x00180040, 0x00200011, 0x00200012, 0x00200013, 0x00280008, 0x00280034
  ],
  LO: [
    0x00080070, 0x00080080, 0x00080104, 0x00080122, 0x00081030, 0x0008103E, 0x00081040, 0x00081090, 0x00100020, 0x00100021,
    0x00281054, 0x00281055, 0x00283003, 0x00283004, 0x00321060, 0x0040A027, 0x0040A492, 0x00420012, 0x00700081, 0x30040006,
    0x30100034, 0x30100036
  ],
  LT: [
    0x00204000
  ],
  OB: [
    0x04000115, 0x04000120
  ],
  OW: [
    0x00281221
  ],
  PN: [
    0x00100010, 0x0040A075, 0x0040A123, 0x00700084
  ],
  SH: [
    0x00080050, 0x00080100, 0x00080102, 0x00080103, 0x00080201, 0x00200010, 0x00400009, 0x00401001, 0x00720002, 0x00880130,
    0x30060002, 0x300A0002, 0x30100033, 0x30100035
  ],
  SL: [
    0x0040A162
  ],
  SQ: [
    0x00080051, 0x00080082, 0x00080121, 0x00081032, 0x00081110, 0x00081111, 0x00081115, 0x00081120, 0x0008113A, 0x00081140,
    0x0008114A, 0x00081199, 0x00081200, 0x00081250, 0x00082112, 0x00082218, 0x00082220, 0x00082228, 0x00083011, 0x00089092,
    0x00100024, 0x0018A001, 0x00209113, 0x00209116, 0x00283000, 0x00283010, 0x00283110, 0x00289110, 0x00289132, 0x00289145,
    0x00321064, 0x00400036, 0x00400555, 0x004008EA, 0x00401101, 0x00409094, 0x0040A043, 0x0040A073, 0x0040A088, 0x0040A168,
    0x0040A170, 0x0040A300, 0x0040A301, 0x0040A360, 0x0040A370, 0x0040A375, 0x0040A385, 0x0040A504, 0x0040A525, 0x0040A730,
    0x00700086, 0x00700087, 0x00700402, 0x00700404, 0x4FFE0001, 0x52009229, 0x52009230, 0xFFFAFFFA
  ],
  ST: [
    0x00080081, 0x00401102, 0x0040E001, 0x00420010, 0x30100037
  ],
  TM: [
    0x00080013, 0x00080030, 0x00080031, 0x00080032, 0x00080033, 0x00100032, 0x0040A122, 0x00700083, 0x30060009, 0x30080251,
    0x300A0007
  ],
  UC: [
    0x00080119
  ],
  UI: [
    0x00080016, 0x00080018, 0x0008010C, 0x0008010D, 0x00080117, 0x00080118, 0x00081150, 0x00081155, 0x00083010, 0x0020000D,
    0x0020000E, 0x00200052, 0x00200200, 0x0040A124, 0x0040A171, 0x00880140, 0x04000100
  ],
  UL: [
    0x00189127, 0x00289001, 0x00289002, 0x0040A132, 0x0040A163, 0x0040DB73, 0x0066002C
  ],
  UR: [
    0x00080120, 0x00287FE0
  ],
  US: [
    0x00280002, 0x00280006, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x0040A0B0, 0x0062000B,
    0x04000005
  ],
  UT: [
    0x00400031, 0x00400032, 0x0040A160
  ]
}

const VR_BY_TAG: ReadonlyMap<number, string> = new Map(
  Object.entries(TAGS_BY_VR).flatMap(([vr, tags]) => tags.map(tag => [tag, vr] as const))
)

/** @returns undefined for a tag that is not in the dictionary */
export function vrOf (tag: number): string | undefined {
  return VR_BY_TAG.get(tag)
}

/** `(0008,0018)`, as the standard writes it. */
export function nameOf (tag: number): string {
  return `(${tag.toString(16).padStart(8, '0').replace(/^..../, '$&,')})`
}
