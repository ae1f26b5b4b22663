/** What follows from the shape of a tensor. */

/** The number of weights. */
export function weightsIn(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The number of rows, whose length is the first dimension. */
export function rowsIn(shape: readonly number[]): number {
  return weightsIn(shape.slice(1));
}
