/** The margins for the axes of the chart, in pixels. */
export const MARGIN = { left: 46, right: 14, top: 12, bottom: 30 };
