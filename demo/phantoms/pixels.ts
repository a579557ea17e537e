/** Pixel data that looks like something, cheaply: one picture is drawn and each image gets a moving part and its number. */

/** A body in cross section, 12 bits: air, tissue, bone, and a lesion that wanders from image to image. Values are stored values (HU + 1024). */
export function bodySection (rows: number, columns: number): Uint16Array {
  const pixels = new Uint16Array(rows * columns)
  for (let y = 0; y < rows; y++) {
    const v = (2 * y / rows - 1) / 0.75
    for (let x = 0; x < columns; x++) {
      const u = (2 * x / columns - 1) / 0.9
      const body = u * u + v * v
      const lungs = ((Math.abs(u) - 0.42) / 0.3) ** 2 + ((v + 0.05) / 0.55) ** 2
      const spine = (u / 0.12) ** 2 + ((v - 0.62) / 0.14) ** 2
      pixels[y * columns + x] = body > 1 ? 24 : body > 0.9 ? 924 : spine < 1 ? 1_724 : lungs < 1 ? 224 : 1_064 + ((x ^ y) & 15)
    }
  }
  return pixels
}

/** A copy with a bright disc at a place that depends on the number, and the number in the first pixels: no two images are the same. */
export function withNumber (base: Uint16Array, rows: number, columns: number, n: number, salt: number): Buffer {
  const pixels = Uint16Array.from(base)
  const radius = Math.max(2, Math.floor(columns / 16))
  const centreX = Math.floor(columns * (0.5 + 0.25 * Math.cos(n / 9)))
  const centreY = Math.floor(rows * (0.45 + 0.2 * Math.sin(n / 9)))
  for (let y = -radius; y <= radius; y++) {
    for (let x = -radius; x <= radius; x++) {
      if (x * x + y * y <= radius * radius) pixels[(centreY + y) * columns + centreX + x] = 1_400 + 3 * (n % 100)
    }
  }
  pixels[0] = n & 0xfff
  pixels[1] = salt & 0xfff
  return Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength)
}

/** An ultrasound sector in RGB with a patch of colour Doppler. */
export function ultrasoundSector (rows: number, columns: number, n: number): Buffer {
  const bytes = Buffer.alloc(rows * columns * 3)
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const u = x - columns / 2
      const depth = Math.sqrt(u * u + y * y)
      if (Math.abs(Math.atan2(u, y + 1)) > 0.7 || depth > rows * 0.95) continue
      const offset = 3 * (y * columns + x)
      const grey = 60 + Math.floor(90 * Math.abs(Math.sin(depth / 11 + n) * Math.cos(u / 13)))
      const flow = (u / 30) ** 2 + ((y - rows / 2) / 22) ** 2 < 1
      bytes[offset] = flow ? 220 - n : grey
      bytes[offset + 1] = flow ? 40 + ((x * 7) & 63) : grey
      bytes[offset + 2] = flow ? 30 : grey
    }
  }
  bytes[0] = n
  return bytes
}

/** Frames of a vessel that fills with contrast, 8 bits. */
export function angiography (rows: number, columns: number, frames: number, n: number): Buffer {
  const bytes = Buffer.alloc(rows * columns * frames, 190)
  for (let frame = 0; frame < frames; frame++) {
    for (let y = 0; y < rows * (frame + 1) / frames; y++) {
      const centre = Math.floor(columns * (0.5 + 0.2 * Math.sin(y / 24)))
      for (let x = centre - 4; x <= centre + 4; x++) bytes[frame * rows * columns + y * columns + x] = 50
    }
    bytes[frame * rows * columns] = (frame + n) & 0xff
  }
  return bytes
}
