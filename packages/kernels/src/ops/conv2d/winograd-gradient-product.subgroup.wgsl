// P[i, f, c] = sum over tiles of Z[i, tile, f] V[i, tile, c] for each of the 36 points i of Winograd's F(4x4, 3x3).
// All in scratch, as vec4f along the last dimension: V [36][tiles][channels4] from `v_first` on, planes `v_plane` apart;
// Z [36][tiles][filters4] from `z_first` on, `z_plane` apart; P [36][4 filters4][channels4] from `p_first` on, `p_plane` apart.
// With `adds` 1 the sum is added to what P holds.
// One lane: 4 channels; one workgroup: one subgroup, 4 SUBGROUP channels x ROWS filters of one point (workgroup_id.z), all
// tiles, 4 in a step. Z is loaded once a subgroup (lane = 4 filters of one of the 4 tiles) and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is a multiple of 4. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const QUADS = ROWS / 4u;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  tiles: u32, channels4: u32, filters4: u32, v_first: u32, v_plane: u32, z_first: u32, z_plane: u32, p_first: u32, p_plane: u32, adds: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;

// The word of filter r for tile k of the step's 4.
fn word(z: array<vec4f, LOADS>, r: u32, k: u32) -> f32 {
  let n = k * QUADS + r / 4u;
  return subgroupShuffle(z[n / SUBGROUP][r % 4u], n % SUBGROUP);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 + QUADS - 1u) / QUADS;
  let block = group.y * groups.x + group.x;
  let first = block % blocks * QUADS;
  let c = block / blocks * SUBGROUP + lane;
  let v = shape.v_first + group.z * shape.v_plane + min(c, shape.channels4 - 1u);
  let z_start = shape.z_first + group.z * shape.z_plane;
  var sums: array<vec4f, ROWS>;
  for (var tile = 0u; tile < shape.tiles; tile += 4u) {
    var values: array<vec4f, 4>;
    for (var k = 0u; k < 4u; k++) { values[k] = scratch[v + min(tile + k, shape.tiles - 1u) * shape.channels4]; }
    let m = mat4x4f(values[0], values[1], values[2], values[3]);
    var z = array<vec4f, LOADS>(); // without the initial value Dawn keeps that of the step before
    for (var i = 0u; i < LOADS; i++) {
      let n = i * SUBGROUP + lane;
      let at = tile + n / QUADS;
      if (at < shape.tiles) { z[i] = scratch[z_start + at * shape.filters4 + min(first + n % QUADS, shape.filters4 - 1u)]; }
    }
    for (var r = 0u; r < ROWS; r++) { sums[r] += m * vec4f(word(z, r, 0u), word(z, r, 1u), word(z, r, 2u), word(z, r, 3u)); }
  }
  if (c >= shape.channels4) { return; }
  let out = shape.p_first + group.z * shape.p_plane + c;
  for (var r = 0u; r < ROWS; r++) {
    let f = 4u * first + r;
    let at = out + f * shape.channels4;
    if (f < 4u * shape.filters4) {
      if (shape.adds != 0u) { sums[r] += scratch[at]; }
      scratch[at] = sums[r];
    }
  }
}
