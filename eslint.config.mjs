/** What the compiler does not see: forgotten awaits, values of unknown type, names nobody uses. */
import tseslint from 'typescript-eslint';

/** prettier is not overruled: an expression that it spreads badly gets a name. */
const formatting = {
  rules: {
    'no-overruling': {
      create: (context) => ({
        Program() {
          for (const comment of context.sourceCode.getAllComments()) {
            if (!comment.value.includes('prettier-ignore')) continue;
            context.report({ loc: comment.loc, message: 'Give the expression a name instead of overruling prettier.' });
          }
        },
      }),
    },
  },
};

export default tseslint.config(
  { ignores: ['dist/**', 'out/**', 'node_modules/**', 'data/**', 'notebooks/**', '**/*.cjs', '**/*.mjs', 'bin/**'] },
  ...tseslint.configs.strict,
  ...tseslint.configs.recommendedTypeChecked,
  {
    plugins: { formatting },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: { parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      'formatting/no-overruling': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'off',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'all' },
      ],
      // Numbers in messages are the rule here, not an accident.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowArray: true, allowNever: true },
      ],
      // Heavy parts (engines, subcommands) are loaded when they are needed, and the build is CommonJS.
      '@typescript-eslint/no-require-imports': 'off',
      // Asserted only where the line before proved it; a thrown "undefined is not an object" would say less.
      '@typescript-eslint/no-non-null-assertion': 'error',
      // An interface's async method may have nothing to wait for.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['src/**/*.ts', 'kernel-ext/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // A file is a chapter, not a book; a function fits on a screen.
      'max-lines': ['error', { max: 300 }],
      'max-lines-per-function': ['error', { max: 60 }],
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: ['node:fs', 'node:fs/promises'].map((name) => ({
            name,
            importNames: ['writeFile', 'writeFileSync', 'createWriteStream'],
            message: 'io/write-file writes a file whole or leaves the old one.',
          })),
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // node:test's describe and it return promises that its runner awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['describe', 'it', 'test', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
            },
          ],
        },
      ],
    },
  },
);
