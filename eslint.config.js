import neostandard from 'neostandard'

/** Imports go one way: routes -> plugins -> src. */
function forbid (files, ignores, patterns) {
  return { files, ignores, rules: { 'no-restricted-imports': ['error', { patterns }] } }
}

const everythingAbove = { group: ['**/routes/**', '**/plugins/**', '**/demo/**', '**/test/**', '**/bench/**'], message: 'imports go one way: routes -> plugins -> src' }

export default [
  ...neostandard({ ts: true, ignores: ['dist', 'node_modules', '.tap'] }),
  {
    files: ['**/*.ts'],
    rules: {
      '@stylistic/max-len': ['error', { code: 180, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreComments: false }],
      // a floating promise is marked by void
      'no-void': ['error', { allowAsStatement: true }],
      '@stylistic/object-property-newline': 'off',
      // a schema and its type share a name
      '@typescript-eslint/no-redeclare': 'off',
      'prefer-promise-reject-errors': 'off',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error'
    }
  },
  { files: ['src/http/screens/**/*.js'], languageOptions: { globals: { document: 'readonly', MutationObserver: 'readonly', location: 'readonly', sessionStorage: 'readonly', addEventListener: 'readonly' } } },
  forbid(['src/**/*.ts'], ['src/main.ts', 'src/app.ts'], [
    everythingAbove,
    { group: ['fastify', 'fastify-plugin', '@fastify/*', '!@fastify/proxy-addr'], message: 'src/ knows nothing of Fastify; only main.ts and app.ts do' }
  ]),
  forbid(['plugins/**/*.ts'], [], [{ group: ['**/routes/**', '**/demo/**', '**/test/**', '**/bench/**'], message: 'imports go one way: routes -> plugins -> src' }]),
  forbid(['routes/**/*.ts'], [], [{ group: ['**/demo/**', '**/test/**', '**/bench/**'], message: 'imports go one way: routes -> plugins -> src' }])
]
