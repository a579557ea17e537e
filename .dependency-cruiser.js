/**
 * Which way imports go, types included: the one place where it stands. `npm run lint` keeps to it, `npm run architecture` draws what there is
 * (docs/architecture.md).
 */

/** The interface of an archive, and what may be searched for in one: what is above the archives knows no protocol. */
const ARCHIVE_INTERFACE = ['archive/archive.ts', 'archive/study-search.ts']

/**
 * Folders of src/, from the top to the bottom, each with what it may import beside itself and the files of src/ (BOTTOM). What stands in a list
 * comes later in the table, so that there can be no circle of folders.
 */
const ROOMS = {
  cli: ['doctor', 'http', 'work', 'disc', 'print', 'studies', 'auth', 'config', 'language', 'dicom'],
  doctor: ['health', 'print', 'patient', 'archive', 'dcmtk', 'auth', 'config', 'dicom'],
  metrics: ['health', 'work', 'disc', 'print', 'patient', 'studies', 'archive', 'dcmtk', 'config', 'dicom'],
  health: ['work', 'disc', 'print', 'patient', 'studies', 'archive', 'dcmtk', 'config', 'dicom'],
  http: ['audit', 'work', 'disc', 'print', 'patient', 'studies', ...ARCHIVE_INTERFACE, 'auth', 'config', 'language', 'dicom'],
  audit: ['work', 'disc', 'print', 'studies', ...ARCHIVE_INTERFACE, 'dcmtk', 'config', 'dicom'],
  print: ['work', 'studies', ...ARCHIVE_INTERFACE, 'dcmtk', 'config', 'dicom'],
  work: ['disc', 'studies', ...ARCHIVE_INTERFACE, 'config', 'dicom'],
  disc: ['studies', ...ARCHIVE_INTERFACE, 'dcmtk', 'config', 'language', 'dicom'],
  patient: ['config', 'dicom'],
  studies: [...ARCHIVE_INTERFACE, 'config', 'dicom'],
  archive: ['dcmtk', 'config', 'dicom'],
  dcmtk: ['config', 'dicom'],
  auth: ['config'],
  config: ['language'],
  language: [],
  dicom: []
}

/** Files of src/ that know no room: processes, errors, small tools. */
const BOTTOM = '^src/(?!(?:app|main)\\.ts$)[^/]+\\.ts$'

const names = Object.keys(ROOMS)
for (const [room, may] of Object.entries(ROOMS)) {
  for (const other of may) {
    const below = names.indexOf(other.split('/')[0])
    if (below <= names.indexOf(room)) throw new Error(`.dependency-cruiser.js: ${room} may not stand above ${other}, which comes before it`)
  }
}

const inSrc = paths => `^src/(?:${paths.map(path => path.endsWith('.ts') ? `${path.replaceAll('.', '\\.')}$` : `${path}/`).join('|')})`

const CONNECTIONS = ['net', 'tls', 'http', 'https', 'http2', 'dgram', 'undici']
const PROGRAMS = ['child_process', 'cluster', 'execa']
/** Here, or where a link leads. */
const NODE_MODULES = '(?:^|/)node_modules/'
/** A module of Node or a package, as dependency-cruiser names it. */
const external = modules => `(?:^(?:node:)?(?:${modules.join('|')})$|${NODE_MODULES}(?:${modules.join('|')})/)`

export default {
  forbidden: [
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'found', severity: 'error', comment: 'what is imported is there', from: {}, to: { couldNotResolve: true } },
    {
      name: 'declared',
      severity: 'error',
      comment: 'a package stands in package.json, and what the service needs not under devDependencies',
      from: { path: '^(?:src|plugins|routes)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'service-without-tests',
      severity: 'error',
      comment: 'tests, benchmark and demo may import anything; the service imports none of them',
      from: { path: '^(?:src|plugins|routes)/' },
      to: { path: '^(?:demo|test|bench|scripts)/' }
    },
    { name: 'demo-without-tests', severity: 'error', from: { path: '^demo/' }, to: { path: '^(?:test|bench)/' } },
    { name: 'plugins-below-routes', severity: 'error', from: { path: '^(?:plugins|src)/' }, to: { path: '^routes/' } },
    {
      name: 'src-below-plugins',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/app\\.ts$' },
      to: { path: '^plugins/' }
    },
    {
      name: 'app-on-top',
      severity: 'error',
      comment: 'only the command line starts the service',
      from: { path: '^(?:src|plugins|routes)/', pathNot: '^src/(?:main\\.ts$|cli/)' },
      to: { path: '^src/(?:app|main)\\.ts$' }
    },
    {
      name: 'src-without-fastify',
      severity: 'error',
      comment: 'the domain knows nothing of Fastify; @fastify/proxy-addr compares addresses, @fastify/busboy reads multipart: they are no plugins',
      from: { path: '^src/', pathNot: '^src/(?:app|main)\\.ts$' },
      to: { path: `${NODE_MODULES}(?:fastify|fastify-plugin|@fastify/(?!(?:proxy-addr|busboy)/)[^/]+)/` }
    },
    {
      name: 'one-place-starts-programs',
      severity: 'error',
      from: { path: '^(?:src|plugins|routes)/', pathNot: '^src/process\\.ts$' },
      to: { path: external(PROGRAMS) }
    },
    {
      name: 'bottom',
      severity: 'error',
      comment: 'what every room may import knows no room',
      from: { path: BOTTOM },
      to: { path: '^(?:src/[^/]+/|src/(?:app|main)\\.ts$)' }
    },
    {
      name: 'dicom-is-data',
      severity: 'error',
      comment: 'the standard as data: starts no program, opens no connection',
      from: { path: '^src/dicom/' },
      to: { path: `^src/(?!dicom/|errors\\.ts$)|${external([...CONNECTIONS, ...PROGRAMS])}` }
    },
    ...Object.entries(ROOMS).map(([room, may]) => ({
      name: `room-${room}`,
      severity: 'error',
      comment: `src/${room} may import ${may.length > 0 ? may.join(', ') : 'no other room'}`,
      from: { path: `^src/${room}/` },
      to: { path: '^src/[^/]+/', pathNot: inSrc([room, ...may]) }
    })),
    {
      name: 'every-room-has-its-place',
      severity: 'error',
      comment: 'a new folder of src/ gets its line in ROOMS and in docs/architecture.md',
      from: { path: '^src/[^/]+/', pathNot: inSrc(names) },
      to: {}
    }
  ],
  options: {
    doNotFollow: { path: NODE_MODULES },
    exclude: { path: '^(?:dist|\\.tap|coverage)/' },
    // imports of types count: what a type needs cannot be changed by itself
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] }
  }
}
