// A plot's colours are those of the page: light or dark, and again when that changes.
const dark = matchMedia("(prefers-color-scheme: dark)");
const scales = {
  light: {
    blue: [[0, "#eef4fa"], [0.5, "#6aaede"], [1, "#0b4f8a"]],
    red: [[0, "#fbeeee"], [0.5, "#e8878b"], [1, "#a3161d"]],
    diverging: [[0, "#a3161d"], [0.25, "#e8a5a8"], [0.5, "#f4f6f8"], [0.75, "#8fbfe4"], [1, "#0b4f8a"]],
  },
  dark: {
    blue: [[0, "#1c2732"], [0.5, "#2f76b0"], [1, "#a8d6fb"]],
    red: [[0, "#2c2022"], [0.5, "#b0444a"], [1, "#ffc0c2"]],
    diverging: [[0, "#ff8f94"], [0.25, "#8a3a40"], [0.5, "#222a32"], [0.75, "#2f6494"], [1, "#8cc8f8"]],
  },
};

function paint() {
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--soft").trim(), line = style.getPropertyValue("--line").trim();
  for (const plot of document.querySelectorAll(".plotly-graph-div")) {
    const layout = {"font.color": text};
    for (const axis of Object.keys(plot.layout).filter(name => /^[xy]axis/.test(name))) {
      layout[axis + ".gridcolor"] = line;
      layout[axis + ".linecolor"] = line;
    }
    plot.data.forEach((trace, n) => {
      const scale = scales[dark.matches ? "dark" : "light"][trace.meta];
      if (scale) Plotly.restyle(plot, {colorscale: [scale]}, [n]);
    });
    Plotly.relayout(plot, layout);
  }
}

addEventListener("load", paint);
dark.addEventListener("change", paint);
