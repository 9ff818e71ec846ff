/* crc: CRC-32C (Castagnoli), by the processor's instruction where it has one. */
#ifndef STORED_CRC_H
#define STORED_CRC_H
#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, the value of the bytes before; 0 at the start. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
#endif
