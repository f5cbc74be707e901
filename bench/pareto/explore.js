'use strict';
// Fills the plot of a Pareto page: which points, on which cost, in which colours. All that it shows
// comes from the JSON block "explored"; nothing is set as HTML.
(() => {
  const page = JSON.parse(document.getElementById('explored').textContent);
  const section = document.getElementById('explore');
  const form = document.getElementById('switches');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const nothing = value => (value === null ? NaN : value);

  const chosen = name =>
    new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map(box => box.value));

  function shownPoints(cost) {
    const kinds = chosen('kind'), decoders = chosen('decoder'), networks = chosen('network');
    return page.points.filter(p => p.costs[cost] !== null && kinds.has(p.kind)
      && networks.has(p.network) && (p.decoder === '' || decoders.has(p.decoder)));
  }

  // What nothing else shown beats: nothing costs as little and errs as little, one of them less.
  function frontOf(points, cost) {
    const own = points.filter(p => !p.published);
    const beats = (q, p) => q.costs[cost] <= p.costs[cost] && q.error <= p.error
      && (q.costs[cost] < p.costs[cost] || q.error < p.error);
    return own.filter(p => !own.some(q => beats(q, p)))
      .sort((p, q) => p.places[cost] - q.places[cost] || q.error - p.error);
  }

  function columns(points, cost) {
    const colour = p => p.colours[Number(dark.matches)];
    const data = {
      x: points.map(p => p.places[cost]),
      error: points.map(p => p.error),
      low: points.map(p => nothing(p.low)),
      high: points.map(p => nothing(p.high)),
      colour: points.map(colour),
      fill: points.map(p => (p.published ? 'rgba(0,0,0,0)' : colour(p))),
      marker: points.map(p => p.marker),
    };
    page.names.forEach((name, i) => {
      data[`name${i}`] = points.map(() => name);
      data[`cell${i}`] = points.map(p => p.cells[i]);
    });
    return data;
  }

  function paint(plot, model) {
    const style = getComputedStyle(document.documentElement);
    const [ink, soft, line] = ['--ink', '--soft', '--line'].map(v => style.getPropertyValue(v));
    for (const axis of [...plot.below, ...plot.left])
      Object.assign(axis, { axis_label_text_color: ink, major_label_text_color: ink,
        axis_line_color: soft, major_tick_line_color: soft, minor_tick_line_color: null,
        axis_label_text_font_style: 'normal' });
    for (const grid of plot.center) grid.grid_line_color = line;
    for (const name of ['steps', 'rings']) model(name).glyph.line_color = ink;
    model('names').glyph.text_color = ink;
  }

  // Everything of a cost, a little apart from the edges; where "reset" goes back to.
  function frame(plot, cost) {
    const there = page.points.filter(p => p.costs[cost] !== null);
    const at = there.map(p => p.places[cost]);
    const start = Math.min(...at) / 1.35, end = Math.max(...at) * 1.35;
    const top = 1.08 * Math.max(...there.map(p => p.high ?? p.error));
    plot.x_range.setv({ start, end, reset_start: start, reset_end: end });
    plot.y_range.setv({ start: 0, end: top, reset_start: 0, reset_end: top });
    plot.below[0].axis_label = page.costs[cost];
    plot.left[0].axis_label = page.axis;
  }

  // Round numbers, as many as are read easily; deep in, where no round ones are, even steps.
  const ROUND = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 5, 7], [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9],
    [...Array(90).keys()].map(i => (i + 10) / 10)];
  function ticks({ start, end }) {
    const first = Math.floor(Math.log10(start)), last = Math.ceil(Math.log10(end));
    const of = mantissas => [...Array(last - first + 1).keys()]
      .flatMap(i => mantissas.map(m => Number((m * 10 ** (first + i)).toPrecision(3))))
      .filter(tick => tick >= start && tick <= end);
    return ROUND.map(of).find(found => found.length >= 5)
      ?? [0, 1, 2, 3, 4].map(i => Number((start + i * (end - start) / 4).toPrecision(6)));
  }

  section.hidden = false;
  Bokeh.embed.embed_item(page.plot, 'plot').then(() => {
    const document_ = Bokeh.documents[Bokeh.documents.length - 1];
    const model = name => document_.get_model_by_name(name);
    const plot = model('plot');
    let framed = '';
    const mark = () => { plot.below[0].ticker.ticks = ticks(plot.x_range); };
    plot.x_range.change.connect(mark);

    function show() {
      const [cost] = chosen('cost'), layers = chosen('layer');
      const points = shownPoints(cost), front = frontOf(points, cost);
      if (cost !== framed) frame(plot, cost);
      framed = cost;
      mark();
      paint(plot, model);
      model('points').data = columns(points, cost);
      model('front').data = {
        x: front.map(p => p.places[cost]),
        error: front.map(p => p.error),
        network: front.map((p, i) => (i && front[i - 1].network === p.network ? '' : p.network)),
      };
      model('intervals').visible = layers.has('intervals');
      for (const name of ['steps', 'rings', 'names']) model(name).visible = layers.has('front');
      const without = page.points.filter(p => p.costs[cost] === null).length;
      document.getElementById('shown').textContent = `${points.length} of ${page.points.length}`
        + ` points shown, ${front.length} on the front`
        + (without ? `; of ${without} this cost is not known` : '');
    }

    form.addEventListener('change', show);
    dark.addEventListener('change', show);
    show();
    section.dataset.ready = 'yes';
  });
})();
