(() => {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures"), palettes = read("palettes");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // The data names colours by what they are for; only values of colour keys are looked up, never a file's name.
  const painted = (value, palette, colour) => {
    if (Array.isArray(value)) return value.map((one) => painted(one, palette, colour));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(
        ([key, one]) => [key, painted(one, palette, /colors?$/.test(key))]));
    }
    return colour && Object.hasOwn(palette, value) ? palette[value] : value;
  };

  // As many labels of releases as fit side by side; the last one is always among them.
  const thinned = (layout, width) => {
    const every = layout.xaxis && layout.xaxis.tickvals;
    if (!every) return layout;
    const step = Math.max(1, Math.ceil(every.length * 84 / width));
    const kept = every.filter((at) => (every.length - 1 - at) % step === 0);
    const texts = kept.map((at) => layout.xaxis.ticktext[at]);
    return { ...layout, xaxis: { ...layout.xaxis, tickvals: kept, ticktext: texts } };
  };

  // Text that had to shrink below what can be read is no text.
  const legible = (place) => {
    for (const text of place.querySelectorAll("text.slicetext")) {
      const scale = /scale\(([\d.]+)/.exec(text.getAttribute("transform"));
      text.style.visibility = scale && scale[1] < 0.62 ? "hidden" : "";
    }
  };

  // Paper is light, and no wider than A4 or letter; what is drawn for a screen would be cut off there.
  const paper = { width: 680, height: 400 };

  const draw = (printed) => {
    const palette = palettes[printed || !dark.matches ? "light" : "dark"];
    for (const [id, figure] of Object.entries(figures)) {
      const place = document.getElementById(id);
      const { data, layout } = painted(figure, palette, false);
      const sized = printed ? { ...layout, ...paper } : layout;
      Plotly.react(place, data, thinned(sized, printed ? paper.width : place.clientWidth), { displayModeBar: false, responsive: true });
      if (!place.watched) place.watched = Boolean(place.on("plotly_afterplot", () => legible(place)));
      legible(place);
    }
  };

  document.documentElement.classList.add("drawn");
  draw(false);
  dark.addEventListener("change", () => draw(false));
  addEventListener("beforeprint", () => draw(true));
  addEventListener("afterprint", () => draw(false));
})();
