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
    files: ['src/**/*.ts', 'plugins/**/*.ts', 'routes/**/*.ts', 'viewer/src/**/*.ts'],
    rules: {
      // arguments stand on the stack: a study of 125,000 files ended in a RangeError
      'no-restricted-syntax': ['error',
        { selector: 'CallExpression[callee.property.name=/^(push|unshift|splice|fromCharCode|fromCodePoint)$/] > SpreadElement', message: 'Any number of arguments does not fit on the stack: use a loop.' },
        { selector: 'CallExpression[callee.object.name="Math"] > SpreadElement', message: 'Any number of arguments does not fit on the stack: largestOf (src/numbers.ts).' },
        // / +$/ begins anew at each blank of a run: a value of 256 KiB blanks stopped the process for two minutes
        { selector: 'Literal[regex.pattern=/(^|[|])(\\[[^\\]]*\\]|\\\\?[^\\]^])[+*][$]$/]', message: 'Quadratic for a long run in the middle: withoutEnd (src/dicom/padding.ts).' }]
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
