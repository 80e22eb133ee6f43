// The CRC-32 of many messages (polynomial 0x04c11db7, bits reversed, as in zip and Ethernet), a byte a step by table.
constexpr unsigned int polynomial = 0xedb88320u;

// table[byte] = the remainder of that byte: make_table[1, 256](table).
__global__ void make_table(unsigned int* table) {
  unsigned int remainder = threadIdx.x;
  for (int bit = 0; bit < 8; ++bit) remainder = remainder & 1 ? remainder >> 1 ^ polynomial : remainder >> 1;
  table[threadIdx.x] = remainder;
}

// Message i is bytes[starts[i]] ... bytes[starts[i + 1] - 1]. One thread a message:
// crc32[(messages / block) rounded up, block](bytes, starts, table, crcs, messages).
__global__ void crc32(const unsigned char* bytes, const int* starts, const unsigned int* table, unsigned int* crcs,
                      int messages) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= messages) return;
  unsigned int crc = 0xffffffffu;
  for (int k = starts[i]; k < starts[i + 1]; ++k) crc = table[(crc ^ bytes[k]) & 0xff] ^ crc >> 8;
  crcs[i] = ~crc;
}
