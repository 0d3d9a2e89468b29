/**
 * Who may lean on whom, from the ground up:
 *   engine, io <- nn, text <- models <- rewards, rl, sft, data <- eval <- recipes <- miniworld <- cli
 * display leans on io alone, kernel-ext on display, the runner of cli on kernel-ext. Only models/load and the curricula
 * of the mini checkpoints name a backbone.
 */
'use strict';

const ground = ['engine', 'io', 'nn', 'text', 'models'];
const middle = [...ground, 'rewards', 'rl', 'sft', 'data'];

/** Folders of src/ that each folder may import, besides itself. */
const arrows = {
  engine: [],
  io: ['engine'],
  nn: ['engine', 'io'],
  text: ['engine', 'io'],
  models: ['engine', 'io', 'nn', 'text'],
  rewards: ground,
  rl: ground,
  sft: ground,
  data: ground,
  eval: middle,
  miniworld: [...middle, 'eval', 'recipes', 'display'],
  recipes: [...middle, 'eval'],
  display: ['io'],
  cli: [...middle, 'eval', 'miniworld', 'recipes', 'display'],
};

const rules = Object.entries(arrows).map(([folder, allowed]) => ({
  name: `${folder}-leans-on`,
  comment:
    allowed.length > 0
      ? `src/${folder} may import ${allowed.join(', ')}`
      : `src/${folder} imports no other folder of src/`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: {
    path: folder === 'cli' ? '^src/' : '^(src|kernel-ext)/',
    pathNot: [`^src/(${[folder, ...allowed].join('|')})/`],
  },
}));

module.exports = {
  forbidden: [
    ...rules,
    {
      name: 'kernel-ext-leans-on',
      comment: 'kernel-ext may import display and io',
      severity: 'error',
      from: { path: '^kernel-ext/' },
      to: { path: '^src/', pathNot: ['^src/(display|io)/'] },
    },
    {
      name: 'nobody-leans-on-cli',
      comment: 'the command line is the top: only bin/ and tests use it',
      severity: 'error',
      from: { pathNot: ['^src/cli/', '^test/', '^bin/', '^scripts/'] },
      to: { path: '^src/cli/' },
    },
    {
      name: 'one-backbone-one-room',
      comment: 'a model never imports another backbone',
      severity: 'error',
      from: { path: '^src/models/([^/]+)/' },
      to: { path: '^src/models/([^/]+)/', pathNot: ['^src/models/$1/'] },
    },
    {
      name: 'no-backbone-by-name',
      comment: 'methods and measures know a model by models/unified, and load it by models/load',
      severity: 'error',
      from: { path: '^src/(recipes|rl|rewards|eval|cli)/' },
      to: { path: '^src/models/(showo|janus|chameleon)/' },
    },
    {
      name: 'mini-checkpoints-name-backbones',
      comment: 'of the mini world, only the curricula that make the mini checkpoints name a backbone',
      severity: 'error',
      from: { path: '^src/miniworld/', pathNot: '^src/miniworld/curricula/' },
      to: { path: '^src/models/(showo|janus|chameleon)/' },
    },
    {
      name: 'no-circles',
      comment: 'imports form no circle, not even of types',
      severity: 'error',
      from: { path: '^(src|kernel-ext|bench)/' },
      to: { circular: true },
    },
    {
      name: 'no-utils',
      comment: 'a file is named after its one idea',
      severity: 'error',
      from: {},
      to: { path: '/(util|utils|helper|helpers|misc|common)([.]ts$|/)', pathNot: 'node_modules' },
    },
    {
      name: 'declared-packages-only',
      comment: 'a package that is imported stands in package.json',
      severity: 'error',
      from: { path: '^(src|kernel-ext|bench)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-dev-packages',
      comment: 'what ships leans on dependencies, not on devDependencies',
      severity: 'error',
      from: { path: '^(src|kernel-ext)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: ['node_modules/@types/'] },
    },
    {
      name: 'resolvable',
      comment: 'an import names something that is there',
      severity: 'error',
      from: { path: '^(src|kernel-ext|test|scripts|bench)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.test.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['require', 'node', 'types', 'default', 'import'],
    },
    skipAnalysisNotInRules: true,
  },
};
