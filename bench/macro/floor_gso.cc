// The floor of UDP_GRO and UDP_SEGMENT: trains come in and go out.

#include "bench/macro/floor.h"

int main(int argc, char** argv) {
  return turnpike::bench::run_floor(argc, argv, turnpike::load::Trains::kYes);
}
