/** The library as it was compiled, and the verdict of a program. */
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(process.env.UNILAB_ROOT ?? path.join(__dirname, '../../../..'));
const compiled = path.join(root, 'dist', 'src');
if (!fs.existsSync(path.join(compiled, 'index.js'))) {
  console.error(`there is no dist/src/index.js in ${root}: run \`make setup\` first, or set UNILAB_ROOT`);
  process.exit(2);
}

/** An inner module, by its path under src. */
const inner = (name) => require(path.join(compiled, name));

/** What notebooks import. */
const library = () => inner('index.js');

const checks = [];
/** @param right what is right @param holds whether it is so @param found what happens instead */
function check(right, holds, found) {
  checks.push(Boolean(holds));
  console.log(holds ? `holds  ${right}` : `FAILS  ${right}\n       found: ${found}`);
}

/** Runs the program; exit status 0 when all checks hold, 1 when one fails, 2 when it could not be tried. */
function main(body) {
  Promise.resolve()
    .then(body)
    .then(
      () => process.exit(checks.length > 0 && checks.every(Boolean) ? 0 : 1),
      (error) => {
        console.error(error);
        process.exit(2);
      },
    );
}

/** What a function gives, or the error that it throws, also later. */
async function outcome(f) {
  try {
    return { value: await f() };
  } catch (error) {
    return { error };
  }
}

module.exports = { root, library, inner, check, main, outcome };
