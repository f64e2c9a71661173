// How good a call is, as a number: the E-model (ITU-T G.107), from what the network does to it.
// Values.
#pragma once

namespace turnpike::call {

struct Conditions {
  double delay_ms = 0;   // one way, of the network
  double jitter_ms = 0;  // mean deviation (RFC 3550 section 6.4.1)
  double loss = 0;       // part of the packets, 0 to 1, lost at random
};
// The transmission rating factor R, 0 to 93.2. Everything that is not the network has the default
// of G.107; to its delay come 20 ms of a packet's own length and 6.5 ms that Opus looks ahead (RFC
// 6716 section 2), and a jitter buffer of twice the jitter. Loss costs as much as with G.711 and
// concealment (G.113 appendix I: Ie 0, Bpl 25.1), for there are no numbers of the ITU for Opus.
double rating_of(const Conditions& conditions);
// Mean opinion score, 1 to 4.5 (G.107 annex B).
double mos_of_rating(double rating);
inline double mos_of(const Conditions& conditions) { return mos_of_rating(rating_of(conditions)); }

}  // namespace turnpike::call
