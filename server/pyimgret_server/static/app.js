// The web page of pyimgret. Data from the service is inserted as text, never as HTML.
const $ = (id) => document.getElementById(id);
const state = { blob: null, key: null, id: null, facts: {}, region: null, number: 0, url: null };

// ---- requests to the service ------------------------------------------------------------
async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error('The service does not respond. Is it running, and are you online?');
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Error(errorMessage(answer.status, problem));
}

function errorMessage(status, problem) {
  const detail = problem.detail || '';
  if (status === 413) {
    return `The image is too large; at most ${megabytes(state.facts.max_upload)} can be sent.`;
  }
  if (status === 429) return 'Too many requests. Wait a moment and try again.';
  if (status === 503) return 'The service is busy. Try again in a moment.';
  if (String(problem.type).endsWith('undecodable-image')) {
    return `This file cannot be read as an image: ${detail}`;
  }
  if (String(problem.type).endsWith('invalid-filter')) return `The filter: ${detail}`;
  if (status >= 500) return `Something went wrong in the service (request ${problem.request_id}).`;
  return detail || `The service answered ${status}.`;
}

const megabytes = (bytes) => (bytes ? `${Math.round(bytes / 2 ** 20)} MB` : 'less');

// ---- searching --------------------------------------------------------------------------
async function search() {
  if (!state.blob && state.key === null) return;
  const number = ++state.number;
  busy(true);
  try {
    const answer = await call('v1/search', state.key === null ? await form() : body());
    const found = await answer.json();
    if (number !== state.number) return; // a newer search is under way
    showResults(found);
  } catch (error) {
    if (number === state.number) showError(error);
  } finally {
    if (number === state.number) busy(false);
  }
}

function conditions() {
  return { k: Number($('k').value) || 12, min_score: Number($('least').value), where: $('where').value };
}

async function form() {
  const data = new FormData();
  data.append('image', state.region ? await cropRegion() : state.blob, 'query');
  for (const [name, value] of Object.entries(conditions())) data.append(name, value);
  return { method: 'POST', body: data };
}

function body() {
  const text = JSON.stringify({ key: state.key, exclude_self: true, ...conditions() });
  return { method: 'POST', body: text, headers: { 'Content-Type': 'application/json' } };
}

function busy(is) {
  $('results').classList.toggle('busy', is);
  $('results').setAttribute('aria-busy', is);
  $('hint').hidden = true;
  if (is) $('status').textContent = 'Searching …';
}

function showError(error) {
  $('hint').hidden = true;
  $('error').textContent = error.message;
  $('error').hidden = false;
  $('grid').replaceChildren();
  $('status').textContent = 'No results.';
}

// ---- the results ------------------------------------------------------------------------
function showResults(found) {
  $('error').hidden = true;
  const count = found.matches.length;
  $('status').textContent = count
    ? `${count} ${count === 1 ? 'image' : 'images'} in ${found.took_ms.toFixed(1)} ms`
    : 'No matches. Lower the minimum score or relax the filter.';
  $('grid').replaceChildren(...found.matches.map(card));
}

function card(match) {
  const item = $('card').content.firstElementChild.cloneNode(true);
  const [open, image] = [item.querySelector('.open'), item.querySelector('img')];
  image.alt = match.key;
  image.src = thumbnail(match.id);
  image.addEventListener('load', () => image.classList.toggle('tiny', image.naturalWidth <= 64));
  image.addEventListener('error', () => image.replaceWith('no thumbnail'));
  item.querySelector('b').textContent = match.score.toFixed(3);
  item.querySelector('.meter i').style.width = `${Math.max(0, match.score) * 100}%`;
  item.querySelector('.key').textContent = match.key;
  item.querySelector('.metadata').append(...Object.entries(match.metadata).map(chip));
  open.setAttribute('aria-label', `${match.key}, score ${match.score.toFixed(3)}; search by this image`);
  open.addEventListener('click', () => searchByItem(match));
  const explain = item.querySelector('.explain');
  explain.hidden = !state.facts.explain;
  explain.addEventListener('click', () => explainMatch(match).catch(showError));
  return item;
}

function chip([name, value]) {
  const [pair, term, text] = ['div', 'dt', 'dd'].map((tag) => document.createElement(tag));
  term.textContent = name;
  text.textContent = typeof value === 'object' ? JSON.stringify(value) : String(value);
  pair.title = `${name}: ${text.textContent}`;
  pair.append(term, text);
  return pair;
}

const thumbnail = (id) => `v1/items/${encodeURIComponent(id)}/thumbnail`;

// ---- the query --------------------------------------------------------------------------
function setImage(blob) {
  if (!blob) return;
  Object.assign(state, { blob, key: null, id: null });
  showPreview(URL.createObjectURL(blob), blob.name || 'pasted image');
  $('crop').hidden = false;
  pushHash('');
  search();
}

function searchByItem(match, isNew = true) {
  Object.assign(state, { blob: null, key: match.key, id: match.id });
  showPreview(thumbnail(match.id), match.key);
  $('crop').hidden = true;
  if (isNew) pushHash(`#key=${encodeURIComponent(match.key)}`);
  $('results').focus({ preventScroll: true });
  scrollTo({ top: 0 });
  search();
}

function showPreview(url, caption) {
  if (state.url) URL.revokeObjectURL(state.url);
  state.url = url.startsWith('blob:') ? url : null;
  setCropping(false);
  $('preview').src = url;
  $('stage').hidden = false;
  $('empty').hidden = true;
  $('drop').classList.add('filled');
  $('caption').textContent = caption;
}

const pushHash = (hash) => history.pushState(null, '', hash || location.pathname + location.search);

async function restoreFromHash() {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (!key) return;
  try {
    const answer = await call(`v1/items?${new URLSearchParams({ key })}`);
    searchByItem(await answer.json(), false);
  } catch (error) {
    showError(error);
  }
}

// ---- a region of the query --------------------------------------------------------------
function setCropping(on) {
  $('crop').setAttribute('aria-pressed', on);
  $('stage').classList.toggle('cropping', on);
  $('region').hidden = $('region-help').hidden = !on;
  state.region = null;
  if (on) setRegion({ x: 0.25, y: 0.25, w: 0.5, h: 0.5 });
}

function setRegion(r) {
  const w = Math.min(1, Math.max(0.05, r.w));
  const h = Math.min(1, Math.max(0.05, r.h));
  const [x, y] = [Math.min(1 - w, Math.max(0, r.x)), Math.min(1 - h, Math.max(0, r.y))];
  state.region = { x, y, w, h };
  Object.assign($('region').style, {
    left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%`,
  });
  const percent = (part) => `${Math.round(part * 100)} %`;
  $('region').setAttribute('aria-valuenow', Math.round(x * 100));
  $('region').setAttribute('aria-valuetext',
    `left ${percent(x)}, top ${percent(y)}, width ${percent(w)}, height ${percent(h)}`);
}

function cropRegion() {
  const [image, r] = [$('preview'), state.region];
  const canvas = document.createElement('canvas');
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  canvas.width = Math.max(1, Math.round(r.w * width));
  canvas.height = Math.max(1, Math.round(r.h * height));
  canvas.getContext('2d').drawImage(image, -Math.round(r.x * width), -Math.round(r.y * height));
  return new Promise((done) => canvas.toBlob(done, 'image/png'));
}

function pointerPosition(event) {
  const box = $('stage').getBoundingClientRect();
  const part = (value) => Math.min(1, Math.max(0, value));
  return [part((event.clientX - box.left) / box.width), part((event.clientY - box.top) / box.height)];
}

$('stage').addEventListener('pointerdown', (event) => {
  if (!state.region) return;
  event.preventDefault();
  const [x0, y0] = pointerPosition(event);
  const held = event.target === $('region') ? { ...state.region } : null;
  const move = (e) => {
    const [x, y] = pointerPosition(e);
    if (held) setRegion({ ...held, x: held.x + x - x0, y: held.y + y - y0 });
    else setRegion({ x: Math.min(x, x0), y: Math.min(y, y0), w: Math.abs(x - x0), h: Math.abs(y - y0) });
  };
  const end = () => {
    removeEventListener('pointermove', move);
    removeEventListener('pointerup', end);
    search();
  };
  addEventListener('pointermove', move);
  addEventListener('pointerup', end);
});

$('region').addEventListener('keydown', (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === 'Enter') search();
  if (!step) return;
  event.preventDefault();
  const [dx, dy] = step.map((s) => s * 0.05);
  const r = state.region;
  setRegion(event.shiftKey ? { ...r, w: r.w + dx, h: r.h + dy } : { ...r, x: r.x + dx, y: r.y + dy });
});

$('crop').addEventListener('click', () => {
  setCropping($('crop').getAttribute('aria-pressed') !== 'true');
  if (state.region) $('region').focus();
  search();
});

// ---- explanation of a match -------------------------------------------------------------
async function explainMatch(match) {
  const data = new FormData();
  const query = state.blob ? (state.region ? await cropRegion() : state.blob)
    : await (await call(thumbnail(state.id))).blob();
  data.append('image', query, 'query');
  data.append('id', match.id);
  const found = await (await call('v1/explain', { method: 'POST', body: data })).json();
  await drawHeatMap($('map-query'), URL.createObjectURL(query), found.query);
  await drawHeatMap($('map-match'), thumbnail(match.id), found.match);
  $('why-text').textContent = `Score ${found.score.toFixed(3)}. Brighter regions contribute more to the similarity.`;
  $('why').showModal();
}

async function drawHeatMap(canvas, url, rows) {
  const image = new Image();
  image.src = url;
  await image.decode();
  canvas.width = canvas.height = 320;
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = image.naturalWidth > 64;
  context.drawImage(image, 0, 0, 320, 320);
  const heat = new OffscreenCanvas(rows[0].length, rows.length);
  const pixels = new ImageData(heat.width, heat.height);
  rows.flat().forEach((value, i) => {
    pixels.data.set([255, 60 + 160 * value, 0, 225 * value], 4 * i);
  });
  heat.getContext('2d').putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = true;
  context.globalAlpha = 0.75;
  context.drawImage(heat, 0, 0, 320, 320);
}

// ---- events -----------------------------------------------------------------------------
for (const id of ['file', 'camera']) {
  $(id).addEventListener('change', (event) => {
    setImage(event.target.files[0]);
    event.target.value = '';
  });
}
addEventListener('paste', (event) => {
  if (event.clipboardData.files.length) {
    event.preventDefault();
    setImage(event.clipboardData.files[0]);
  }
});
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dragging');
});
addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dragging');
});
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dragging');
  if (event.dataTransfer.files.length) setImage(event.dataTransfer.files[0]);
  else showError(new Error('Only files can be dropped here; save the image first, or copy and paste it.'));
});
$('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  search();
});
for (const id of ['k', 'least', 'where']) {
  $(id).addEventListener('change', () => $(id).checkValidity() && search());
}
$('least').addEventListener('input', () => {
  const least = Number($('least').value);
  $('least-shown').textContent = least <= -1 ? 'any' : least.toFixed(2);
});
$('preview').addEventListener('load', () => {
  $('preview').classList.toggle('tiny', $('preview').naturalWidth <= 64);
});
$('preview').addEventListener('error', () => {
  $('stage').hidden = true;
  $('empty').hidden = false;
  $('crop').hidden = true;
  $('drop').classList.remove('filled');
});
addEventListener('popstate', restoreFromHash);

(async () => {
  try {
    state.facts = await (await call('v1/index')).json();
    const { count, model, max_k: most } = state.facts;
    $('facts').textContent = `${count.toLocaleString()} images${model ? ` · ${model}` : ''}`;
    $('k').max = most;
    await restoreFromHash();
  } catch (error) {
    showError(error);
  }
})();
