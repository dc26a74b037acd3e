// dweight = G^T P G for each 3x3 window of the weights: the adjoint of winograd-weights, points as in winograd.ts.
// P [36][F4][C4] from `p_first` of scratch on, planes `p_plane` apart; dweight [F4, 3, 3, C4], as vec4f along the channels.
// One lane: a column of P, then of dweight; 8 lanes, 6 and then 3 of them at work: one filter, all channels. See winograd-input.
// Preconditions: the subgroup size is SUBGROUP, a multiple of 8.
enable subgroups;

const SUBGROUP = 8u;
const A = 0.70710678118654752; // the points are 0, A, -A, B, -B and infinity
const B = 1.41421356237309505;

struct Shape { filters: u32, channels4: u32, p_first: u32, p_plane: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>;

// The rows of G^T: the powers 0 to 2 of the points, each point's over the product of its differences from the others.
const ROWS = array<array<f32, 6>, 3>(
  array(1, -1 / 1.5, -1 / 1.5, 1.0 / 6, 1.0 / 6, 0),
  array(0, -A / 1.5, A / 1.5, B / 6, -B / 6, 0),
  array(0, -0.5 / 1.5, -0.5 / 1.5, 2.0 / 6, 2.0 / 6, 1),
);

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let column = lane % 8u;
  let filter_index = ((group.y * groups.x + group.x) * SUBGROUP + lane) / 8u;
  let loads = column < 6u && filter_index < shape.filters;
  let stores = column < 3u && filter_index < shape.filters;
  let at = shape.p_first + column * shape.p_plane + filter_index * shape.channels4;
  let row = ROWS[min(column, 2u)];
  let out = (filter_index * 9u + column) * shape.channels4;
  let others = lane - column;
  for (var c = 0u; c < shape.channels4; c++) {
    var p = array<vec4f, 6>();
    for (var y = 0u; y < 6u; y++) { if (loads) { p[y] = scratch[at + 6u * y * shape.p_plane + c]; } }
    for (var y = 0u; y < 3u; y++) {
      var half = vec4f();
      for (var x = 0u; x < 6u; x++) { half += ROWS[y][x] * p[x]; }
      var sum = vec4f();
      for (var x = 0u; x < 6u; x++) { sum += row[x] * subgroupShuffle(half, others + x); }
      if (stores) { dweight[out + 3u * y * shape.channels4 + c] = sum; }
    }
  }
}
