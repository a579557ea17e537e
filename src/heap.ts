/**
 * Imported before anything else. V8 lets the young part of the heap grow to 32 MiB and keeps it; here nearly everything in it is short-lived, so that it
 * stays as small as it begins. Measured with 600 images: 128 MiB resident in place of 164, at the same processor time.
 */
import { setFlagsFromString } from 'node:v8'

setFlagsFromString('--semi-space-growth-factor=1')
