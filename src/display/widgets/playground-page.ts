/** The page side of the sampler playground: its ES module and its style sheet. */

export const playgroundModule = `
const controls = [
  { name: 'prompt', label: 'Prompt', type: 'text' },
  { name: 'guidance', label: 'Guidance', type: 'range', min: 0, max: 10, step: 0.5 },
  { name: 'steps', label: 'Steps', type: 'range', min: 1, step: 1 },
  { name: 'seed', label: 'Seed', type: 'number', min: 0, step: 1 },
];

function control({ name, label, ...attributes }, model, stop) {
  const row = document.createElement('label');
  const title = document.createElement('span');
  const input = Object.assign(document.createElement('input'), attributes);
  const value = document.createElement('output');
  title.textContent = label;
  input.name = name;
  if (name === 'steps') input.max = model.get('maxSteps');
  const show = () => {
    if (document.activeElement !== input || input.type !== 'text') input.value = model.get(name);
    value.textContent = input.type === 'range' ? input.value : '';
  };
  input.addEventListener('input', () => (value.textContent = input.type === 'range' ? input.value : ''));
  input.addEventListener('change', () => {
    model.set(name, input.type === 'text' ? input.value : Number(input.value));
    model.save_changes();
  });
  model.on('change:' + name, show);
  stop.push(() => model.off('change:' + name, show));
  show();
  row.append(title, input, value);
  return row;
}

function picture({ png, caption }, urls) {
  const figure = document.createElement('figure');
  const image = document.createElement('img');
  const bytes = png.buffer ? new Uint8Array(png.buffer, png.byteOffset, png.byteLength) : png;
  const url = URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
  urls.push(url);
  image.src = url;
  image.alt = caption;
  const text = document.createElement('figcaption');
  text.textContent = caption;
  figure.append(image, text);
  return figure;
}

function render({ model, el }) {
  const stop = [];
  const urls = [];
  const free = () => urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
  el.classList.add('unilab-playground');
  el.setAttribute('data-lm-suppress-shortcuts', 'true'); // else JupyterLab takes the arrow keys of the sliders
  const form = document.createElement('form');
  form.addEventListener('submit', (event) => event.preventDefault());
  form.append(...controls.map((one) => control(one, model, stop)));
  const again = document.createElement('button');
  again.type = 'button';
  again.textContent = 'Another seed';
  again.addEventListener('click', () => model.send({ draw: 'another seed' }));
  const status = document.createElement('span');
  status.className = 'unilab-status';
  form.append(again, status);
  const strip = document.createElement('div');
  const showStatus = () => (status.textContent = model.get('status'));
  const showPictures = () => {
    const old = urls.splice(0);
    strip.replaceChildren(...model.get('pictures').map((one) => picture(one, urls)));
    old.forEach((url) => URL.revokeObjectURL(url));
  };
  model.on('change:status', showStatus);
  model.on('change:pictures', showPictures);
  showStatus();
  showPictures();
  el.append(form, strip);
  return () => {
    model.off('change:status', showStatus);
    model.off('change:pictures', showPictures);
    stop.forEach((end) => end());
    free();
  };
}

export default { render };
`;

export const playgroundStyle = `
.unilab-playground form { display: grid; gap: 4px; max-width: 480px; }
.unilab-playground label { display: grid; grid-template-columns: 80px 1fr 40px; align-items: center; }
.unilab-playground button { width: max-content; }
.unilab-playground .unilab-status { opacity: 0.7; min-height: 1.4em; }
.unilab-playground > div { display: flex; flex-wrap: wrap; gap: 8px; }
.unilab-playground figure { margin: 0; }
.unilab-playground img { width: 128px; image-rendering: pixelated; display: block; }
.unilab-playground figcaption { font-size: 85%; text-align: center; }
`;
