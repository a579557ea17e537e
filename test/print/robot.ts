/**
 * A CD publisher that counts discs as a robot does: the images of a study are one disc, until it has been quiet for a while; an image that comes a
 * second time begins another disc. It can be switched off in the middle, and on again.
 */
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import dimse from 'dcmjs-dimse'
import type { association as associations } from 'dcmjs-dimse'
import type { Test } from 'tap'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'

const { Scp, Server, constants, log, responses } = dimse
const { PresentationContextResult, TransferSyntax } = constants

export interface Disc {
  studyInstanceUid: string
  images: ReadonlySet<string>
}

export interface Robot {
  readonly port: number
  /** In the order in which they were begun. */
  discs (): readonly Disc[]
  /** Those of a study. */
  discsOf (studyInstanceUid: string): readonly Disc[]
  /** C-STORE requests so far. */
  images (): number
  /** Before the answer to each image, in milliseconds. */
  delayMs: number
  /** It has images from now on, and answers none of them: a print is in the middle for as long as a test wants. */
  hold (): void
  /** It answers what it held, and everything else. */
  letGo (): void
  /** Answers the next images with this status instead of success, as long as it is set. */
  status: number
  /** As when the plug is pulled. */
  off (): Promise<void>
  on (): Promise<void>
}

/** @param quietMs after which a robot burns what it has */
export async function startRobot (t: Pick<Test, 'teardown'>, quietMs = 3_000): Promise<Robot> {
  log.setLevel('silent')
  const port = await freePort()
  const sockets = new Set<Socket>()
  const held: Array<() => void> = []
  let isHeld = false
  const discs: Array<{ studyInstanceUid: string, images: Set<string>, lastMs: number }> = []
  let images = 0

  const take = (studyInstanceUid: string, uid: string): void => {
    images++
    const open = discs.findLast(disc => disc.studyInstanceUid === studyInstanceUid)
    const now = performance.now()
    if (open === undefined || now - open.lastMs > quietMs || open.images.has(uid)) discs.push({ studyInstanceUid, images: new Set([uid]), lastMs: now })
    else {
      open.images.add(uid)
      open.lastMs = now
    }
  }

  class RobotScp extends Scp {
    readonly connection: Socket
    constructor (...[socket, ...rest]: ConstructorParameters<typeof Scp>) {
      super(socket, ...rest)
      this.connection = socket as Socket
      sockets.add(this.connection)
      this.connection.on('close', () => { sockets.delete(this.connection) }).on('error', () => {})
    }

    override associationRequested (association: associations.Association): void {
      for (const { id } of association.getPresentationContexts()) {
        const context = association.getPresentationContext(id)
        const syntaxes = context.getTransferSyntaxUids()
        context.setResult(PresentationContextResult.Accept, [TransferSyntax.ExplicitVRLittleEndian, TransferSyntax.ImplicitVRLittleEndian].find(one => syntaxes.includes(one)))
      }
      this.sendAssociationAccept()
    }

    override associationReleaseRequested (): void { this.sendAssociationReleaseResponse() }

    override abort (): void { this.connection.end() }

    override cEchoRequest (...[request, callback]: Parameters<InstanceType<typeof Scp>['cEchoRequest']>): void {
      const response = responses.CEchoResponse.fromRequest(request)
      response.setStatus(0)
      callback(response)
    }

    override cStoreRequest (...[request, callback]: Parameters<InstanceType<typeof Scp>['cStoreRequest']>): void {
      const elements = (request.getDataset()?.getElements() ?? {}) as Record<string, string>
      const response = responses.CStoreResponse.fromRequest(request)
      response.setStatus(robot.status)
      // it has the image before it says so
      if (robot.status === 0) take(elements['StudyInstanceUID'] ?? '', request.getAffectedSopInstanceUid())
      void delay(robot.delayMs, undefined, { ref: false }).then(async () => {
        if (isHeld) await new Promise<void>(resolve => { held.push(resolve) })
        if (this.connection.destroyed) return
        // whoever waits for an answer is not quiet
        const open = discs.findLast(disc => disc.studyInstanceUid === elements['StudyInstanceUID'])
        if (open !== undefined) open.lastMs = performance.now()
        callback(response)
      })
    }
  }

  let server: InstanceType<typeof Server> | undefined
  const robot: Robot = {
    port,
    discs: () => discs,
    discsOf: uid => discs.filter(({ studyInstanceUid }) => studyInstanceUid === uid),
    images: () => images,
    delayMs: 0,
    status: 0,
    hold: () => { isHeld = true },
    letGo: () => {
      isHeld = false
      for (const answer of held.splice(0)) answer()
    },
    off: async () => {
      server?.close()
      server = undefined
      for (const socket of sockets) socket.resetAndDestroy()
      await eventually(() => sockets.size === 0, 5)
    },
    on: async () => {
      if (server !== undefined) return
      const started = new Server(RobotScp)
      started.on('networkError', () => {})
      server = started
      started.listen(port)
      await delay(20)
    }
  }
  t.teardown(async () => { await robot.off() })
  await robot.on()
  return robot
}
