// M[i, tile, row] = sum over d of V[i, tile, d] U[i, row, d] for each of the 36 points i of Winograd's F(4x4, 3x3).
// All in scratch, as vec4f along the last dimension: V [36][tiles][depth4] from `v_first` on, planes `v_plane` apart;
// U [36][4 rows4][depth4], with TRANSPOSED 1 [36][4 depth4][rows4], from `u_first` on, planes `u_plane` apart; M [36][tiles][rows4] from `m_first` on, `m_plane` apart.
// One lane: 4 consecutive tiles, loaded along d; one workgroup: one subgroup, 4 SUBGROUP tiles x ROWS rows of one point
// (workgroup_id.z). U is loaded once a subgroup and broadcast: lane = row, or TRANSPOSED lane = 4 rows at one depth.
// Preconditions: the subgroup size is SUBGROUP; ROWS is a multiple of 4. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const TRANSPOSED = 0u;
const QUADS = ROWS / 4u;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape { tiles: u32, depth4: u32, rows4: u32, v_first: u32, v_plane: u32, u_first: u32, u_plane: u32, m_first: u32, m_plane: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;

// TRANSPOSED: the word of row r at depth k of the step's 4.
fn word(w: array<vec4f, LOADS>, r: u32, k: u32) -> f32 {
  let n = k * QUADS + r / 4u;
  return subgroupShuffle(w[n / SUBGROUP][r % 4u], n % SUBGROUP);
}

// 4 rows, 4 tiles in each: transposed to one vec4f a tile.
fn store(first: u32, tile: u32, row: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (row >= shape.rows4) { return; }
  let out = first + tile * shape.rows4 + row;
  if (tile < shape.tiles) { scratch[out] = vec4f(s0.x, s1.x, s2.x, s3.x); }
  if (tile + 1u < shape.tiles) { scratch[out + shape.rows4] = vec4f(s0.y, s1.y, s2.y, s3.y); }
  if (tile + 2u < shape.tiles) { scratch[out + 2u * shape.rows4] = vec4f(s0.z, s1.z, s2.z, s3.z); }
  if (tile + 3u < shape.tiles) { scratch[out + 3u * shape.rows4] = vec4f(s0.w, s1.w, s2.w, s3.w); }
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.rows4 * 4u + ROWS - 1u) / ROWS;
  let block = group.y * groups.x + group.x;
  let first = block % blocks * ROWS;
  let tile = block / blocks * 4u * SUBGROUP + 4u * lane;
  let v = shape.v_first + group.z * shape.v_plane;
  let v0 = v + min(tile, shape.tiles - 1u) * shape.depth4;
  let v1 = v + min(tile + 1u, shape.tiles - 1u) * shape.depth4;
  let v2 = v + min(tile + 2u, shape.tiles - 1u) * shape.depth4;
  let v3 = v + min(tile + 3u, shape.tiles - 1u) * shape.depth4;
  let u = shape.u_first + group.z * shape.u_plane;
  var rows: array<u32, LOADS>;
  for (var i = 0u; i < LOADS; i++) {
    let n = i * SUBGROUP + lane;
    if (TRANSPOSED == 0u) {
      rows[i] = u + min(first + n, shape.rows4 * 4u - 1u) * shape.depth4;
    } else {
      rows[i] = u + n / QUADS % 4u * shape.rows4 + min(first / 4u + n % QUADS, shape.rows4 - 1u);
    }
  }
  let step = select(4u * shape.rows4, 1u, TRANSPOSED == 0u);
  var sums: array<vec4f, ROWS>;
  for (var d = 0u; d < shape.depth4; d++) {
    let m = mat4x4f(scratch[v0 + d], scratch[v1 + d], scratch[v2 + d], scratch[v3 + d]);
    var w: array<vec4f, LOADS>;
    for (var i = 0u; i < LOADS; i++) { w[i] = scratch[rows[i] + d * step]; }
    for (var r = 0u; r < ROWS; r++) {
      if (TRANSPOSED == 0u) {
        sums[r] += subgroupShuffle(w[r / SUBGROUP], r % SUBGROUP) * m;
      } else {
        sums[r] += vec4f(word(w, r, 0u), word(w, r, 1u), word(w, r, 2u), word(w, r, 3u)) * m;
      }
    }
  }
  let out = shape.m_first + group.z * shape.m_plane;
  for (var q = 0u; q < ROWS / 4u; q++) {
    store(out, tile, first / 4u + q, sums[4u * q], sums[4u * q + 1u], sums[4u * q + 2u], sums[4u * q + 3u]);
  }
}
