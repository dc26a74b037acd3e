// Z = A dy A^T for each 4x4 tile of dy: the adjoint of winograd-output, points as in winograd.ts.
// dy [N, height, width, filters4], Z [36][tiles][filters4] from `z_first` of scratch on, planes `z_plane` apart, as vec4f.
// The tiles are those of the images from `first_image` on; outside dy there are zeros.
// One lane: a column of dy, then of Z; 8 lanes, 4 and then 6 of them at work: one tile, all filters. See winograd-input.
// Preconditions: the subgroup size is SUBGROUP, a multiple of 8.
enable subgroups;

const SUBGROUP = 8u;
const A = 0.70710678118654752; // the points are 0, A, -A, B, -B and infinity
const B = 1.41421356237309505;

struct Shape { height: u32, width: u32, filters4: u32, tiles: u32, tiles_y: u32, tiles_x: u32, z_first: u32, z_plane: u32, first_image: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4f>;

// The rows of A: the powers 0 to 3 of a point; zeros for the lanes without a column.
const ROWS = array<array<f32, 4>, 8>(
  array(1, 0, 0, 0),
  array(1, A, 0.5, 0.5 * A),
  array(1, -A, 0.5, -0.5 * A),
  array(1, B, 2, 2 * B),
  array(1, -B, 2, -2 * B),
  array(0, 0, 0, 1),
  array(0, 0, 0, 0),
  array(0, 0, 0, 0),
);

// A d in one dimension.
fn transform(d: array<vec4f, 4>) -> array<vec4f, 6> {
  let a_even = d[0] + 0.5 * d[2];
  let a_odd = A * (d[1] + 0.5 * d[3]);
  let b_even = d[0] + 2.0 * d[2];
  let b_odd = B * (d[1] + 2.0 * d[3]);
  return array<vec4f, 6>(d[0], a_even + a_odd, a_even - a_odd, b_even + b_odd, b_even - b_odd, d[3]);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let column = lane % 8u;
  let tile = ((group.y * groups.x + group.x) * SUBGROUP + lane) / 8u;
  let rest = tile % (shape.tiles_y * shape.tiles_x);
  let image = shape.first_image + tile / (shape.tiles_y * shape.tiles_x);
  let oy = 4u * (rest / shape.tiles_x);
  let ox = 4u * (rest % shape.tiles_x) + column;
  let works = column < 6u && tile < shape.tiles;
  let loads = column < 4u && tile < shape.tiles && ox < shape.width;
  let at = ((image * shape.height + oy) * shape.width + ox) * shape.filters4;
  let row = ROWS[column];
  let out = shape.z_first + column * shape.z_plane + tile * shape.filters4;
  let others = lane - column;
  for (var f = 0u; f < shape.filters4; f++) {
    var d = array<vec4f, 4>();
    for (var y = 0u; y < 4u; y++) { if (loads && oy + y < shape.height) { d[y] = dy[at + y * shape.width * shape.filters4 + f]; } }
    let half = transform(d);
    for (var y = 0u; y < 6u; y++) {
      var z = row[0] * subgroupShuffle(half[y], others);
      for (var x = 1u; x < 4u; x++) { z += row[x] * subgroupShuffle(half[y], others + x); }
      if (works) { scratch[out + 6u * y * shape.z_plane + f] = z; }
    }
  }
}
