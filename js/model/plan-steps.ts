/** Makes plans step by step, so that a model of hundreds of thousands of tensors does not block the thread. */

import type { ModelPlan, ModelPlanner } from '../engine/model-bindings.js';
import { release } from '../engine/dispose.js';
import { callModel } from '../engine/model.js';
import { breathe } from '../engine/platform.js';

/** The number of tensors that the engine decides on in a step, which takes some milliseconds. */
const STEP = 8192;

/** The largest number of tensors of a step. */
const ALL = 2 ** 32 - 1;

/** Makes a plan. Other tasks of the thread run between the steps. The planner is freed. */
export async function planInSteps(planner: ModelPlanner): Promise<ModelPlan> {
  try {
    for (;;) {
      const plan = callModel(() => planner.step(STEP));
      if (plan) return plan;
      await breathe();
    }
  } finally {
    release(planner, callModel);
  }
}

/** Makes a plan in one go. The planner is freed. */
export function planAtOnce(planner: ModelPlanner): ModelPlan {
  try {
    for (;;) {
      const plan = callModel(() => planner.step(ALL));
      if (plan) return plan;
    }
  } finally {
    release(planner, callModel);
  }
}
