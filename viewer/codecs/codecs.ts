/** The decoders, in a script file of their own: only discs with compressed images carry it. JPEG, JPEG-LS, JPEG 2000, HTJ2K and RLE of dcmjs-codecs. */
import dcmjsCodecs from 'dcmjs-codecs'

type Decode = (context: InstanceType<typeof dcmjsCodecs.Context>, parameters?: { convertColorspaceToRgb?: boolean }) => InstanceType<typeof dcmjsCodecs.Context>

const { Context, NativeCodecs } = dcmjsCodecs

function decoderOf (transferSyntaxUid: string): Decode | undefined {
  if (transferSyntaxUid === '1.2.840.10008.1.2.5') return (context, parameters) => NativeCodecs.decodeRle(context, { ...parameters })
  if (/^1\.2\.840\.10008\.1\.2\.4\.(?:50|51|57|70)$/.test(transferSyntaxUid)) return (context, parameters) => NativeCodecs.decodeJpeg(context, parameters)
  if (/^1\.2\.840\.10008\.1\.2\.4\.8[01]$/.test(transferSyntaxUid)) return (context, parameters) => NativeCodecs.decodeJpegLs(context, { ...parameters })
  if (/^1\.2\.840\.10008\.1\.2\.4\.9[01]$/.test(transferSyntaxUid)) return (context, parameters) => NativeCodecs.decodeJpeg2000(context, { ...parameters })
  if (/^1\.2\.840\.10008\.1\.2\.4\.20[123]$/.test(transferSyntaxUid)) return (context, parameters) => NativeCodecs.decodeHtJpeg2000(context, { ...parameters })
  return undefined
}

export interface Frame {
  columns: number
  rows: number
  samples: number
  bitsAllocated: number
  bitsStored: number
  signed: boolean
  planar: number
  photometric: string
  transferSyntaxUid: string
  bytes: Uint8Array
}

async function start (module: Uint8Array): Promise<(frame: Frame) => Frame> {
  // its own way of reading the module is fetch, which no page from a disc may use
  Object.assign(NativeCodecs, { _getWebAssemblyBytes: async () => module })
  await NativeCodecs.initializeAsync()
  return frame => {
    const decode = decoderOf(frame.transferSyntaxUid)
    if (decode === undefined) throw new Error('no decoder')
    const decoded = decode(new Context({
      width: frame.columns,
      height: frame.rows,
      bitsAllocated: frame.bitsAllocated,
      bitsStored: frame.bitsStored,
      samplesPerPixel: frame.samples,
      pixelRepresentation: frame.signed ? 1 : 0,
      planarConfiguration: frame.planar,
      photometricInterpretation: frame.photometric,
      encodedBuffer: frame.bytes
    }), { convertColorspaceToRgb: true })
    return {
      ...frame,
      bytes: new Uint8Array(decoded.getDecodedBuffer() ?? []),
      planar: decoded.getPlanarConfiguration() ?? 0,
      photometric: decoded.getPhotometricInterpretation() ?? frame.photometric,
      bitsAllocated: decoded.getBitsAllocated() ?? frame.bitsAllocated,
      columns: decoded.getWidth() ?? 0,
      rows: decoded.getHeight() ?? 0
    }
  }
}

Object.assign(window, { viewerCodecs: start })
