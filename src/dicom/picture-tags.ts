/** The elements that say how the pixels of an image are shown (PS3.3 C.7.6, C.8, C.11). */

export const SHARED_FUNCTIONAL_GROUPS = 0x52009229
export const PER_FRAME_FUNCTIONAL_GROUPS = 0x52009230
export const NUMBER_OF_FRAMES = 0x00280008
export const PHOTOMETRIC_INTERPRETATION = 0x00280004

/** Red, green and blue tables of a palette: up to 65,536 entries of two bytes (PS3.3 C.7.9). */
export const PALETTE_TABLES: readonly number[] = [0x00281201, 0x00281202, 0x00281203]
export const LARGEST_PALETTE_BYTES = 128 * 1_024

/** Small ones: they are kept of every image, so that it need not be read again to be shown. */
export const PICTURE_TAGS: ReadonlySet<number> = new Set([
  // acquisition and content date, frame times, imager pixel spacing
  0x00080022, 0x00080023, 0x00082144, 0x00180040, 0x00181063, 0x00181065, 0x00181164,
  // orientation, position, frame of reference
  0x00200013, 0x00200020, 0x00200032, 0x00200037, 0x00200052,
  // image pixel module, spacing, range and padding
  0x00280002, PHOTOMETRIC_INTERPRETATION, 0x00280006, NUMBER_OF_FRAMES, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102,
  0x00280103, 0x00280106, 0x00280107, 0x00280120, 0x00280121,
  // window, rescale, lossy compression, modality LUT and VOI LUT, presentation LUT shape
  0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281054, 0x00281055, 0x00281056, 0x00282110, 0x00283000, 0x00283010, 0x20500020
])

/** With those of images of several frames and of palettes, which may take megabytes: read when the picture is wanted. */
export const ALL_PICTURE_TAGS: ReadonlySet<number> = new Set([
  ...PICTURE_TAGS, SHARED_FUNCTIONAL_GROUPS, PER_FRAME_FUNCTIONAL_GROUPS, 0x00281101, 0x00281102, 0x00281103, ...PALETTE_TABLES
])
