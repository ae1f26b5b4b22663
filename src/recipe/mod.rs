//! What to do with a model: presets and rules as data, and the planner that turns a header and a recipe into jobs.
