/** How code looks. Which way imports go stands in .dependency-cruiser.js. */
import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist', 'node_modules', '.tap', 'src/disc/viewer/assets'] }),
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
  {
    files: ['src/http/screens/**/*.js'],
    languageOptions: {
      globals: {
        document: 'readonly', MutationObserver: 'readonly', location: 'readonly', sessionStorage: 'readonly', addEventListener: 'readonly'
      }
    }
  }
]
