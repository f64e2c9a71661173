// The floor of recvmmsg and sendmmsg: every packet for itself.

#include "bench/macro/floor.h"

int main(int argc, char** argv) {
  return turnpike::bench::run_floor(argc, argv, turnpike::load::Trains::kNo);
}
