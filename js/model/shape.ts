/** What follows from the shape of a tensor. */

/** The number of weights. */
export function weightsIn(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
