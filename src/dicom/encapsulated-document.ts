/** Encapsulated Document (0042,0011), PS3.3 C.24.2: kept only where it is asked for. */
export const ENCAPSULATED_DOCUMENT = 0x00420011
/** Of a document of text; one with pictures inside may have more, and is not kept. */
export const LARGEST_DOCUMENT_BYTES = 8 * 1_024 ** 2
