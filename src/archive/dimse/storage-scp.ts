/**
 * Our own Storage SCP: listens, decides who may connect, and gives each association its own handling. It knows what DCMTK's storescp does not tell:
 * which association brought what, and who asked for it.
 */
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import { plainAddress } from '../../addresses.ts'
import type { ReceiverTls } from '../../dcmtk/peer.ts'
import type { Log } from '../../process.ts'
import type { Provenance, Sender } from '../archive.ts'
import type { AllowedPeers } from './allowed-peers.ts'
import type { CommandSet } from './association/command-set.ts'
import { echo } from './association/echo.ts'
import { IncomingObjects } from './association/incoming-objects.ts'
import type { Flow } from './association/object-file.ts'
import type { AssociateRequest } from './association/pdu.ts'
import { takeOver } from './association/receive-buffer.ts'
import { StorageAssociation } from './association/storage-association.ts'
import { Throttle } from './throttle.ts'
import type { WantedStudies } from '../wanted-studies.ts'

export interface StorageScpOptions {
  /** Ours, for the log: any title is answered, as every receiver that a PACS administrator knows does. */
  aeTitle: string
  port: number
  /** For the files, named by us; nobody else writes there. */
  folder: string
  /** A request is given up after so long a silence. An association ends somewhat earlier, so that the PACS tells of its failure in time to be asked again. */
  idleTimeoutMs: number
  /** undefined for plain TCP. */
  tls: ReceiverTls | undefined
  allowed: Pick<AllowedPeers, 'allows'>
  /** A connection came from an address that may not send to us. */
  onRefused?: ((address: string | undefined) => void) | undefined
  /** Who wants the objects. */
  wanted: WantedStudies
  maxUnwantedBytes: number
  /** An object was removed because nobody had asked for it. */
  onDropped?: (() => void) | undefined
  /** AE titles of the archives that may be asked to send here, and ours as we ask for moves: they tell whose images come. */
  archiveAeTitles: readonly string[]
  isOurAeTitle: (aeTitle: string) => boolean
  log: Log
  mostAssociations?: number | undefined
  /** Longest wait for an A-ASSOCIATE-RQ, and for a TLS handshake. */
  associationTimeoutMs?: number | undefined
}

/** Another program listens on the port, or this user may not. */
export class PortTakenError extends Error {
  readonly port: number
  constructor (port: number, reason: string) {
    super(`port ${port} cannot be listened on: ${reason}`)
    this.name = 'PortTakenError'
    this.port = port
  }
}

const MOST_ASSOCIATIONS = 200
const ASSOCIATION_TIMEOUT_MS = 10_000
const IDLE_SHARE = 0.8
/** Turns of the event loop. */
const OWN_PORT_TURNS = 50
/** A peer has so long to close its connection when we stop. */
const CLOSING_MS = 1_000

export class StorageScp {
  readonly #options: StorageScpOptions
  readonly #server: Server
  readonly #associations = new Set<StorageAssociation>()
  /** Those whose connection is not closed yet. */
  readonly #sockets = new Set<Socket>()
  /** Those whose TLS handshake is under way, by {@link endOf}. */
  readonly #shaking = new Map<string, Socket>()
  readonly #refusals: Throttle
  readonly #drops: Throttle
  readonly #handshakes: Throttle
  #tlsServer: TlsServer | undefined
  #stopping = false
  #onEmpty: (() => void) | undefined
  #hasEnded = (): void => {}
  #dropped = 0
  #refused = 0
  #failedHandshakes = 0
  /** C-ECHOs to ourselves that are under way, and the ports that they come from. */
  #echoing = 0
  readonly #ownPorts = new Set<number>()
  /** Resolves with the reason when it does not listen any more; undefined when it was stopped. */
  readonly ended: Promise<string | undefined>

  constructor (options: StorageScpOptions) {
    this.#options = options
    const { log, port } = options
    this.#refusals = new Throttle(fields => { log.warn(fields, 'a connection from an address that may not send images was turned away: add it to our_ae.allow_from') })
    this.#drops = new Throttle(fields => { log.warn(fields, 'an image that nobody asked for was received and removed') })
    this.#handshakes = new Throttle(fields => { log.warn(fields, 'a TLS connection to the receiver failed') })
    // who is not allowed is not read from
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, socket => { void this.#connected(socket) })
    this.ended = new Promise(resolve => {
      this.#server.once('listening', () => {
        this.#server.on('error', error => {
          log.error({ port, err: error }, 'the receiver does not listen any more')
          this.#server.close()
          // associations may go on for long, and nobody else would be let in
          resolve(error.message)
        })
      })
      this.#hasEnded = () => { resolve(undefined) }
    })
  }

  /**
   * @throws PortTakenError
   * @throws what reading its key and certificates throws
   */
  async start (): Promise<void> {
    const { aeTitle, port, folder, log } = this.#options
    await this.#prepareTls()
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        reject(new PortTakenError(port, error.code === 'EADDRINUSE' ? 'another program listens there' : error.code ?? error.message))
      }
      this.#server.once('error', failed)
      this.#server.listen(port, () => {
        this.#server.off('error', failed)
        resolve()
      })
    })
    // the log point of the original design; it is our own Storage SCP now, in this process
    log.info({ port, dir: folder, pid: process.pid, ae_title: aeTitle }, 'starting storescp')
  }

  /** Every connection is closed and every file that was not whole is removed when this resolves. */
  async stop (): Promise<void> {
    this.#stopping = true
    this.#server.close()
    for (const association of this.#associations) association.abort('the receiver stops')
    this.#refusals.flush()
    this.#drops.flush()
    this.#handshakes.flush()
    if (this.#associations.size === 0 && this.#sockets.size === 0) {
      this.#hasEnded()
      return
    }
    // one in the middle of its TLS handshake hears nothing
    const timer = setTimeout(() => { for (const socket of this.#sockets) socket.destroy() }, CLOSING_MS).unref()
    await new Promise<void>(resolve => { this.#onEmpty = resolve })
    clearTimeout(timer)
    this.#hasEnded()
  }

  /**
   * A C-ECHO to ourselves, by the way that an archive comes. Whoever may send to us, and with which certificate, does not matter for it.
   * @returns why there was no answer that is success
   */
  async echo (timeoutMs: number): Promise<string | undefined> {
    const { port, aeTitle, log } = this.#options
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const isConnected = new Promise<boolean>(resolve => {
      socket.once('connect', () => { resolve(true) }).once('error', () => { resolve(false) })
      setTimeout(() => { resolve(false) }, timeoutMs).unref()
    })
    this.#echoing++
    try {
      if (!await isConnected) {
        socket.destroy()
        return 'nobody takes a connection'
      }
      const { localPort = 0 } = socket
      this.#ownPorts.add(localPort)
      try {
        return await echo(socket, { callingAeTitle: aeTitle, calledAeTitle: aeTitle }, timeoutMs, log)
      } finally {
        this.#ownPorts.delete(localPort)
      }
    } finally {
      this.#echoing--
    }
  }

  /** Of a C-ECHO to ourselves, which may be seen here before it is known there from which port it comes. */
  async #isOurOwn ({ remoteAddress, remotePort = 0 }: Socket): Promise<boolean> {
    if (this.#echoing === 0 || plainAddress(remoteAddress) !== '127.0.0.1') return false
    for (let turn = 0; turn < OWN_PORT_TURNS && !this.#ownPorts.has(remotePort); turn++) await new Promise(resolve => { setImmediate(resolve) })
    return this.#ownPorts.has(remotePort)
  }

  /** An association that has brought objects of the study is open. */
  mayStillSend (studyInstanceUid: string): boolean {
    return [...this.#associations].some(association => association.hasDelivered(studyInstanceUid))
  }

  #track (socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#checkEmpty()
    })
    // until somebody listens to them
    socket.on('error', () => {})
  }

  async #connected (socket: Socket): Promise<void> {
    this.#track(socket)
    const { remoteAddress } = socket
    if (await this.#isOurOwn(socket)) {
      if (this.#stopping) socket.destroy()
      else this.#associate(socket, plainAddress(remoteAddress) ?? '')
      return
    }
    if (!await this.#options.allowed.allows(remoteAddress)) {
      socket.resetAndDestroy()
      this.#options.onRefused?.(plainAddress(remoteAddress))
      this.#refusals.tell({ address: plainAddress(remoteAddress), refused: ++this.#refused })
      return
    }
    if (this.#stopping) socket.destroy()
    else if (this.#tlsServer === undefined) this.#associate(socket, plainAddress(remoteAddress) ?? '')
    else this.#shakeHands(this.#tlsServer, socket)
  }

  /** As {@link #makeRoom}: a connection costs nothing else before its handshake is over. */
  #shakeHands (server: TlsServer, socket: Socket): void {
    const { mostAssociations = MOST_ASSOCIATIONS } = this.#options
    const [oldest] = this.#shaking
    if (oldest !== undefined && this.#shaking.size >= mostAssociations) {
      this.#shaking.delete(oldest[0])
      oldest[1].destroy()
    }
    const end = endOf(socket)
    this.#shaking.set(end, socket)
    socket.once('close', () => { if (this.#shaking.get(end) === socket) this.#shaking.delete(end) })
    server.emit('connection', socket)
  }

  #associate (accepted: Socket, address: string): void {
    const { log, idleTimeoutMs, associationTimeoutMs = ASSOCIATION_TIMEOUT_MS, mostAssociations = MOST_ASSOCIATIONS } = this.#options
    this.#makeRoom(mostAssociations)
    const open = (take: (bytes: Buffer) => void): Socket => {
      const socket = takeOver(accepted, take)
      if (socket !== accepted && this.#sockets.delete(accepted)) this.#track(socket)
      return socket
    }
    const association: StorageAssociation = new StorageAssociation(open, {
      log,
      associationTimeoutMs,
      idleTimeoutMs: IDLE_SHARE * idleTimeoutMs,
      admit: () => this.#admits(mostAssociations),
      objectsFor: (request, flow, abort) => this.#objectsFor(request, address, flow, abort),
      onEnd: () => {
        this.#associations.delete(association)
        this.#checkEmpty()
      }
    })
    this.#associations.add(association)
  }

  /** Connections that say nothing never keep out one that has something to say: the oldest of them has to go. */
  #makeRoom (mostAssociations: number): void {
    const silent = [...this.#associations].filter(({ established, over }) => !established && !over)
    if (silent.length >= mostAssociations) silent[0]?.drop('too many connections say nothing')
  }

  /** Nor do associations that bring nothing keep out one that may: the oldest of them has to go. */
  #admits (mostAssociations: number): boolean {
    const open = [...this.#associations].filter(({ established, over }) => established && !over)
    if (open.length < mostAssociations) return true
    const idle = open.find(association => association.idle)
    idle?.drop('there are too many associations, and this one brought nothing that anybody waits for')
    return idle !== undefined
  }

  #objectsFor (request: AssociateRequest, address: string, flow: Flow, abort: (reason: string) => void): IncomingObjects {
    const { folder, wanted, maxUnwantedBytes, onDropped, log } = this.#options
    const from = `${address} as ${request.callingAeTitle}`
    return new IncomingObjects({
      wanted,
      folder,
      maxUnwantedBytes,
      isForUs: ({ moveOriginatorAeTitle }) => this.#options.isOurAeTitle(moveOriginatorAeTitle),
      provenanceOf: (command, studyInstanceUid) => this.#provenanceOf(request, command, studyInstanceUid),
      senderOf: studyInstanceUid => this.#senderOf(request, studyInstanceUid),
      callingAeTitle: request.callingAeTitle,
      from,
      flow,
      tooMuchUnwanted: () => {
        log.warn({ from }, 'an association sends more of what nobody asked for than our_ae.max_unwanted allows; it is ended')
        abort('it sends what nobody asked for')
      },
      onDropped: () => {
        onDropped?.()
        this.#drops.tell({ dropped: ++this.#dropped, from })
      },
      log
    })
  }

  /** What another archive than the one that was asked sends, late, is no evidence of what the one that was asked has sent. */
  #provenanceOf (request: AssociateRequest, { moveOriginatorAeTitle }: CommandSet, studyInstanceUid: string): Provenance {
    const { archiveAeTitles, isOurAeTitle } = this.#options
    if (this.#senderOf(request, studyInstanceUid) === 'other') return 'unknown'
    if (isOurAeTitle(moveOriginatorAeTitle)) return 'ours'
    return archiveAeTitles.includes(request.callingAeTitle) ? 'archive' : 'unknown'
  }

  #senderOf ({ callingAeTitle }: AssociateRequest, studyInstanceUid: string): Sender | undefined {
    const { wanted, archiveAeTitles } = this.#options
    const asked = wanted.archiveAeTitleOf(studyInstanceUid)
    if (asked === undefined || !archiveAeTitles.includes(callingAeTitle)) return undefined
    return callingAeTitle === asked ? 'asked' : 'other'
  }

  async #prepareTls (): Promise<void> {
    const { tls, associationTimeoutMs = ASSOCIATION_TIMEOUT_MS } = this.#options
    if (tls === undefined) return
    const [key, cert, ca] = await Promise.all([readFile(tls.key), readFile(tls.cert), tls.ca === '' ? undefined : readFile(tls.ca)])
    this.#tlsServer = createTlsServer({
      key, cert, ...ca === undefined ? {} : { ca }, minVersion: 'TLSv1.2', requestCert: tls.verify, rejectUnauthorized: tls.verify, handshakeTimeout: associationTimeoutMs
    }, socket => {
      this.#shaking.delete(endOf(socket))
      this.#associate(socket, plainAddress(socket.remoteAddress) ?? '')
    })
    this.#tlsServer.on('tlsClientError', (error, socket) => {
      this.#handshakes.tell({ address: plainAddress(socket.remoteAddress), failed: ++this.#failedHandshakes, err: error })
      socket.destroy()
    })
  }

  #checkEmpty (): void {
    if (this.#associations.size === 0 && this.#sockets.size === 0) this.#onEmpty?.()
  }
}

/** The other end of a connection, which its plain socket and its TLS socket share. */
function endOf ({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${remotePort ?? 0}`
}
