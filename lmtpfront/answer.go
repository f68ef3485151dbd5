package lmtpfront

import (
	"errors"

	"github.com/emersion/go-smtp"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Answers (RFC 5321, 4.2; RFC 3463). They are constant.
var (
	errBadAddress  = &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 1, 3}, Message: "not an address"}
	errUnknownUser = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user here"}
	errLater       = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "storage cannot be reached now; try again later"}
	errNoRoom      = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "no room for the message now; try again later"}
	errOverQuota   = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "mailbox is over quota"}
	errFull        = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox is full"}
	errTooBig      = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "message too big"}
	errLongLine    = &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "message has a line that is too long"}
	errAborted     = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "message was not received whole"}
	errReconnect   = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "connect again after a message that was given up"}
	errRejected    = &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 3, 0}, Message: "message cannot be stored"}
)

// receiveError is the answer when a message could not be read or kept aside.
func receiveError(err error) *smtp.SMTPError {
	var disk *spoolError
	switch {
	case errors.Is(err, smtp.ErrDataTooLarge):
		return errTooBig
	case errors.Is(err, smtp.ErrTooLongLine):
		return errLongLine
	case errors.As(err, &disk):
		return errNoRoom
	}
	return errAborted
}

// storageError is the answer when storage gave none. Whatever it is, it is for
// later: even a request that storage calls invalid may be our own misconfiguration,
// and an MTA that gives up after days has still lost nothing of what it would
// have lost at once.
func storageError(err error) *smtp.SMTPError {
	if errors.Is(err, client.ErrNoAccount) {
		return errUnknownUser
	}
	return errLater
}

// refusal is the answer to a result that is not OK.
func refusal(code pb.Code) *smtp.SMTPError {
	switch code {
	case pb.Code_CODE_NO_ACCOUNT:
		return errUnknownUser
	case pb.Code_CODE_OVER_QUOTA:
		// For good: the sender is to hear of it, not to wait for days while the MTA's
		// queue fills up.
		return errOverQuota
	case pb.Code_CODE_LIMIT, pb.Code_CODE_UIDS_EXHAUSTED:
		return errFull // the user can do something about it
	case pb.Code_CODE_NO_BODY:
		return errLater // what was staged has expired meanwhile
	}
	return errRejected
}
