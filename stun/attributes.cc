#include "stun/attributes.h"

#include <algorithm>
#include <array>

namespace turnpike::stun {
namespace {

struct AttributeRow {
  Attribute type;
  std::string_view name;
};

constexpr std::array kAttributes = {
    AttributeRow{Attribute::kMappedAddress, "MAPPED-ADDRESS"},
    AttributeRow{Attribute::kChangeRequest, "CHANGE-REQUEST"},
    AttributeRow{Attribute::kUsername, "USERNAME"},
    AttributeRow{Attribute::kMessageIntegrity, "MESSAGE-INTEGRITY"},
    AttributeRow{Attribute::kErrorCode, "ERROR-CODE"},
    AttributeRow{Attribute::kUnknownAttributes, "UNKNOWN-ATTRIBUTES"},
    AttributeRow{Attribute::kChannelNumber, "CHANNEL-NUMBER"},
    AttributeRow{Attribute::kLifetime, "LIFETIME"},
    AttributeRow{Attribute::kXorPeerAddress, "XOR-PEER-ADDRESS"},
    AttributeRow{Attribute::kData, "DATA"},
    AttributeRow{Attribute::kRealm, "REALM"},
    AttributeRow{Attribute::kNonce, "NONCE"},
    AttributeRow{Attribute::kXorRelayedAddress, "XOR-RELAYED-ADDRESS"},
    AttributeRow{Attribute::kRequestedAddressFamily, "REQUESTED-ADDRESS-FAMILY"},
    AttributeRow{Attribute::kEvenPort, "EVEN-PORT"},
    AttributeRow{Attribute::kRequestedTransport, "REQUESTED-TRANSPORT"},
    AttributeRow{Attribute::kDontFragment, "DONT-FRAGMENT"},
    AttributeRow{Attribute::kAccessToken, "ACCESS-TOKEN"},
    AttributeRow{Attribute::kMessageIntegritySha256, "MESSAGE-INTEGRITY-SHA256"},
    AttributeRow{Attribute::kPasswordAlgorithm, "PASSWORD-ALGORITHM"},
    AttributeRow{Attribute::kUserhash, "USERHASH"},
    AttributeRow{Attribute::kXorMappedAddress, "XOR-MAPPED-ADDRESS"},
    AttributeRow{Attribute::kReservationToken, "RESERVATION-TOKEN"},
    AttributeRow{Attribute::kPriority, "PRIORITY"},
    AttributeRow{Attribute::kUseCandidate, "USE-CANDIDATE"},
    AttributeRow{Attribute::kPadding, "PADDING"},
    AttributeRow{Attribute::kResponsePort, "RESPONSE-PORT"},
    AttributeRow{Attribute::kConnectionId, "CONNECTION-ID"},
    AttributeRow{Attribute::kAdditionalAddressFamily, "ADDITIONAL-ADDRESS-FAMILY"},
    AttributeRow{Attribute::kAddressErrorCode, "ADDRESS-ERROR-CODE"},
    AttributeRow{Attribute::kPasswordAlgorithms, "PASSWORD-ALGORITHMS"},
    AttributeRow{Attribute::kAlternateDomain, "ALTERNATE-DOMAIN"},
    AttributeRow{Attribute::kIcmp, "ICMP"},
    AttributeRow{Attribute::kSoftware, "SOFTWARE"},
    AttributeRow{Attribute::kAlternateServer, "ALTERNATE-SERVER"},
    AttributeRow{Attribute::kFingerprint, "FINGERPRINT"},
    AttributeRow{Attribute::kIceControlled, "ICE-CONTROLLED"},
    AttributeRow{Attribute::kIceControlling, "ICE-CONTROLLING"},
    AttributeRow{Attribute::kResponseOrigin, "RESPONSE-ORIGIN"},
    AttributeRow{Attribute::kOtherAddress, "OTHER-ADDRESS"},
    AttributeRow{Attribute::kThirdPartyAuthorization, "THIRD-PARTY-AUTHORIZATION"},
    AttributeRow{Attribute::kMobilityTicket, "MOBILITY-TICKET"},
};

struct ErrorRow {
  ErrorCode code;
  std::string_view phrase;
};

constexpr std::array kErrors = {
    ErrorRow{ErrorCode::kTryAlternate, "Try Alternate"},
    ErrorRow{ErrorCode::kBadRequest, "Bad Request"},
    ErrorRow{ErrorCode::kUnauthorized, "Unauthorized"},
    ErrorRow{ErrorCode::kForbidden, "Forbidden"},
    ErrorRow{ErrorCode::kMobilityForbidden, "Mobility Forbidden"},
    ErrorRow{ErrorCode::kUnknownAttribute, "Unknown Attribute"},
    ErrorRow{ErrorCode::kAllocationMismatch, "Allocation Mismatch"},
    ErrorRow{ErrorCode::kStaleNonce, "Stale Nonce"},
    ErrorRow{ErrorCode::kAddressFamilyNotSupported, "Address Family not Supported"},
    ErrorRow{ErrorCode::kWrongCredentials, "Wrong Credentials"},
    ErrorRow{ErrorCode::kUnsupportedTransportProtocol, "Unsupported Transport Protocol"},
    ErrorRow{ErrorCode::kPeerAddressFamilyMismatch, "Peer Address Family Mismatch"},
    ErrorRow{ErrorCode::kConnectionAlreadyExists, "Connection Already Exists"},
    ErrorRow{ErrorCode::kConnectionTimeoutOrFailure, "Connection Timeout or Failure"},
    ErrorRow{ErrorCode::kAllocationQuotaReached, "Allocation Quota Reached"},
    ErrorRow{ErrorCode::kRoleConflict, "Role Conflict"},
    ErrorRow{ErrorCode::kServerError, "Server Error"},
    ErrorRow{ErrorCode::kInsufficientCapacity, "Insufficient Capacity"},
};

const AttributeRow* find_attribute(std::uint16_t type) {
  const auto* found = std::find_if(
      kAttributes.begin(), kAttributes.end(),
      [type](const AttributeRow& row) { return static_cast<std::uint16_t>(row.type) == type; });
  return found == kAttributes.end() ? nullptr : found;
}

}  // namespace

std::string_view attribute_name(std::uint16_t type) {
  const AttributeRow* row = find_attribute(type);
  return row == nullptr ? "unknown" : row->name;
}

bool is_known_attribute(std::uint16_t type) { return find_attribute(type) != nullptr; }

std::string_view reason_phrase(ErrorCode code) {
  for (const ErrorRow& row : kErrors) {
    if (row.code == code) return row.phrase;
  }
  return "Error";
}

}  // namespace turnpike::stun
