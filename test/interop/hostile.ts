/** Texts as a model or a caption file might bring them, each of which would run something where it is taken for markup. */

const act = 'window.pwned=1';

export const hostileTexts: readonly string[] = [
  `<script>${act}</script>`,
  `<img src=x onerror="${act}">`,
  `<svg onload=${act}>`,
  `"><img src=x onerror=${act}>`,
  `' onmouseover='${act}' x='`,
  `<a href="javascript:${act}">link</a>`,
  `[link](javascript:${act})`,
  `![x](x" onerror="${act})`,
  `</style></title></textarea></details><iframe srcdoc="<script>parent.${act}</script>"></iframe>`,
  `$\\href{javascript:${act}}{link}$ $$\\unicode[" onmouseover="${act}]{x}$$`,
  `\\(\\href{javascript:${act}}{link}\\)`,
  `datum['x'] || (${act})`,
  `\${${act}} {{${act}}} \`${act}\``,
  `constructor.constructor('${act}')()`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=${act}&gt;">`,
];

export const hostileMarkdown =
  hostileTexts.map((text) => `- ${text}\n`).join('') + `\n<details ontoggle=${act} open>x</details>\n`;

const list = JSON.stringify(hostileTexts);

/** One cell for each display, with the hostile texts at every place that takes text. */
export const hostileCells: readonly string[] = [
  `import { display, html, livePlot, markdownView, imageGrid, progress, rewardPlot, tableView, traceView, vegaPlot } from 'unilab/display';
import { DataFrame } from 'danfojs-node';
const texts: string[] = ${list};
const image = { width: 4, height: 4, rgb: new Uint8Array(48).fill(90) };`,
  `imageGrid(texts.map((caption) => ({ image, caption, score: { [caption]: 1 } })), { title: texts.join(' '), size: 32 })`,
  `traceView(texts.map((text) => ({
  title: text, prompt: text, understanding: text + ' and so on'.repeat(40), facts: [text, { text, cited: false }], compoundPrompt: text,
  intermediate: [{ image, caption: text }], result: image, rewards: { [text]: 0.5 }, total: 1,
})))`,
  `tableView(texts.map((text) => ({ [text]: text, text })), { title: texts.join(' ') })`,
  `new DataFrame({ text: texts, [texts[1]]: texts })`,
  `const bar = progress(2, texts.join(' '));
bar.tick({ [texts[0]]: texts[1] });
await bar.done();`,
  `const plot = livePlot({ title: texts.join(' '), metrics: texts });
for (let step = 1; step < 4; step++) plot.push({ step, ...Object.fromEntries(texts.map((text, i) => [text, step + i])) });
await plot.done();`,
  `rewardPlot([1, 2].map((step) => ({ step, ...Object.fromEntries(texts.map((text, i) => ['reward' + text, step * i])) })))`,
  `vegaPlot({
  $schema: 'https://vega.github.io/schema/vega-lite/v5.json', title: { text: texts }, width: 300, height: 200,
  data: { values: texts.map((text, i) => ({ text, i, link: 'javascript:${act}', image: 'data:text/html,<script>parent.${act}</script>' })) },
  layer: [
    { mark: { type: 'bar', tooltip: { content: 'data' } } },
    { mark: { type: 'text', align: 'left', limit: 0 }, encoding: { text: { field: 'text' } } },
  ],
  encoding: {
    x: { field: 'i', type: 'quantitative' }, y: { field: 'text', type: 'nominal' },
    href: { field: 'link' }, description: { field: 'text' }, tooltip: { field: 'text' }, color: { field: 'text' },
  },
})`,
  `await display(markdownView(texts.join('\\n\\n')));`,
  `await display(html\`<p title="\${texts.join(' ')}">\${texts}</p>\`);`,
  `texts.join('\\n')`,
  `console.log(texts.join('\\n'));`,
];
